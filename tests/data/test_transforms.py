"""Augmentation: what every transform does to an image, for each image of a batch by itself, on every device."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.data import transforms as T
from tests.data.errors import raises_clearly


def host(t):
    return t.detach().cpu().numpy()


def seeded(seed=0):
    return rg.Generator().manual_seed(seed)


@pytest.fixture
def images(device, rng):
    return rg.tensor(rng.random((64, 3, 9, 11)).astype(np.float32), device=device)


RANDOM = {
    "horizontal flip": lambda g: T.RandomHorizontalFlip(generator=g),
    "vertical flip": lambda g: T.RandomVerticalFlip(generator=g),
    "crop": lambda g: T.RandomCrop((9, 11), padding=2, generator=g),
    "rotation": lambda g: T.RandomRotation(30, interpolation="bilinear", generator=g),
    "affine": lambda g: T.RandomAffine(20, (0.2, 0.2), (0.8, 1.2), 10, generator=g),
    "blur": lambda g: T.GaussianBlur((3, 5), generator=g),
    "erasing": lambda g: T.RandomErasing(0.9, generator=g),
    "noise": lambda g: T.RandomErasing(1, value="random", generator=g),
}


@pytest.mark.parametrize("name", RANDOM)
class TestEveryRandomTransform:
    def test_keeps_shape_dtype_and_device_and_leaves_its_input_alone(self, name, images):
        before = host(images).copy()
        for batch in (images, images.double(), images[:0]):
            out = RANDOM[name](seeded())(batch)
            assert (out.shape, out.dtype, out.device) == (batch.shape, batch.dtype, batch.device)
        np.testing.assert_array_equal(host(images), before)

    def test_draws_for_each_image_separately(self, name, images):
        same = images[:1].expand(64, 3, 9, 11)
        out = host(RANDOM[name](seeded())(same))
        assert len({image.tobytes() for image in out}) >= 2

    def test_is_repeated_by_the_seed_and_leaves_the_default_stream_alone(self, name, images):
        rg.manual_seed(0)
        before = rg.get_rng_state().tolist()
        first, again, other = (host(RANDOM[name](seeded(seed))(images)) for seed in (3, 3, 4))
        assert rg.get_rng_state().tolist() == before
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_takes_single_images(self, name, images):
        assert RANDOM[name](seeded())(images[0]).shape == (3, 9, 11)

    def test_never_waits_for_the_device(self, name, rng, forbid_synchronization):
        batch = rg.tensor(rng.random((4, 3, 9, 11)).astype(np.float32), device="strict")
        RANDOM[name](seeded())(batch)

    def test_passes_the_gradient(self, name, images):
        x = images.double().requires_grad_()
        RANDOM[name](seeded())(x).sum().backward()
        assert x.grad.abs().sum().item() > 0

    def test_refuses_what_is_no_image(self, name):
        with raises_clearly(ValueError, r"\(C, H, W\) or \(N, C, H, W\), got shape \(3, 4\)"):
            RANDOM[name](None)(rg.zeros(3, 4))
        with raises_clearly(TypeError, "expected a Tensor"):
            RANDOM[name](None)(np.zeros((1, 3, 4)))


@pytest.mark.parametrize(("kind", "axis"), [(T.RandomHorizontalFlip, -1), (T.RandomVerticalFlip, -2)])
def test_flips_happen_with_their_probability(kind, axis, images):
    x = host(images)
    np.testing.assert_array_equal(host(kind(1)(images)), np.flip(x, axis))
    np.testing.assert_array_equal(host(kind(0)(images)), x)
    flipped = (host(kind(0.25, generator=seeded())(images.repeat(16, 1, 1, 1))) != np.tile(x, (16, 1, 1, 1))).any(
        (1, 2, 3)
    )
    assert flipped.mean() == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [2, (1, 2), (1, 0, 3, 2)])
def test_padding_is_numpys(mode, padding, images):
    left, top, right, bottom = {2: (2, 2, 2, 2), (1, 2): (1, 2, 1, 2)}.get(padding, padding)
    fill = {"constant_values": 0.5} if mode == "constant" else {}
    expected = np.pad(host(images), ((0, 0), (0, 0), (top, bottom), (left, right)), mode=mode, **fill)
    np.testing.assert_array_equal(host(T.Pad(padding, 0.5 if mode == "constant" else 0, mode)(images)), expected)


def test_a_random_crop_is_a_part_of_the_padded_image_and_every_part_occurs(images):
    x = np.pad(host(images), ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = host(T.RandomCrop((9, 11), padding=1, generator=seeded())(images))
    found = set()
    for image, padded in zip(out, x):
        places = [(i, j) for i in range(3) for j in range(3) if np.array_equal(image, padded[:, i : i + 9, j : j + 11])]
        assert places
        found.update(places)
    assert len(found) == 9


def test_crops_of_images_that_are_too_small_need_padding(images):
    with raises_clearly(ValueError, "no part 12 high in images that are 9 high"):
        T.RandomCrop(12)(images)
    assert T.RandomCrop(12, pad_if_needed=True)(images).shape == (64, 3, 12, 12)


def test_the_middle_is_cropped_and_small_images_are_framed(images):
    x = host(images)
    np.testing.assert_array_equal(host(T.CenterCrop((5, 3))(images)), x[:, :, 2:7, 4:7])
    framed = host(T.CenterCrop((13, 11))(images))
    np.testing.assert_array_equal(framed, np.pad(x, ((0, 0), (0, 0), (2, 2), (0, 0))))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_quarter_turns_are_exact_and_counter_clockwise(interpolation, device, rng):
    x = rng.random((2, 3, 6, 6))
    square = rg.tensor(x, device=device)
    for turns in range(4):
        turned = T.RandomRotation((90 * turns,) * 2, interpolation)(square)
        np.testing.assert_allclose(host(turned), np.rot90(x, turns, (2, 3)), atol=1e-12)


def test_an_affine_map_turns_clockwise_and_moves_by_whole_pixels(device, rng):
    x = rng.random((1, 1, 6, 6))
    square = rg.tensor(x, device=device)
    np.testing.assert_allclose(host(T.RandomAffine((90, 90))(square)), np.rot90(x, -1, (2, 3)), atol=1e-12)
    for seed in range(5):
        moved = host(T.RandomAffine(0, translate=(0.34, 0.5), fill=7, generator=seeded(seed))(square))
        wide = np.pad(x, ((0, 0), (0, 0), (3, 3), (3, 3)), constant_values=7)
        parts = [wide[:, :, i : i + 6, j : j + 6] for i in range(7) for j in range(1, 6)]
        assert any(np.array_equal(moved, part) for part in parts)


def test_bilinear_sampling_maps_a_linear_image_onto_itself(device):
    """A plane a + b x + c y is interpolated exactly; its image under a map is the plane at the places it comes from."""
    y, x = np.mgrid[0:21, 0:21] - 10.0
    plane = rg.tensor((2 + 0.5 * x - 0.25 * y)[None, None], device=device)
    angle, factor, shear = np.deg2rad(25), 1.3, np.tan(np.deg2rad(12))
    transform = T.RandomAffine((25, 25), scale=(1.3, 1.3), shear=(12, 12), interpolation="bilinear")
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(factor * turn @ np.array([[1, -shear], [0, 1]]))
    source = np.einsum("ij,jyx->iyx", inverse, np.stack([x, y]))
    inside = (np.abs(source) <= 10).all(0)
    expected = 2 + 0.5 * source[0] - 0.25 * source[1]
    out = host(transform(plane))[0, 0]
    np.testing.assert_allclose(out[inside], expected[inside], atol=1e-12)
    assert inside.sum() > 200


def test_what_comes_from_outside_is_the_fill_value(device):
    ones = rg.ones(1, 1, 8, 8, device=device)
    out = host(T.RandomAffine(0, scale=(0.5, 0.5), fill=3.0)(ones))[0, 0]
    assert set(np.unique(out)) == {1.0, 3.0}
    np.testing.assert_array_equal(out[2:6, 2:6], 1)
    assert (out == 3).sum() == 48


def test_a_blur_is_the_convolution_with_a_normal_kernel(images):
    x = host(images).astype(np.float64)
    out = host(T.GaussianBlur((3, 5), 0.8)(images.double()))
    kernels = []
    for size in (3, 5):
        k = np.exp(-0.5 * ((np.arange(size) - size // 2) / 0.8) ** 2)
        kernels.append(k / k.sum())
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 5), (2, 3))
    np.testing.assert_allclose(out, np.einsum("nchwij,i,j->nchw", windows, *kernels), rtol=1e-12)


def test_a_blur_of_a_constant_image_changes_nothing_and_small_images_raise(device):
    constant = rg.full((2, 1, 5, 5), 3.0, device=device)
    np.testing.assert_allclose(host(T.GaussianBlur(5)(constant)), 3, rtol=1e-6)
    with raises_clearly(ValueError, "needs images of at least 4, got 3"):
        T.GaussianBlur(7)(rg.zeros(1, 3, 9))


def test_an_erased_rectangle_has_its_area_its_ratio_and_its_values(device):
    ones = rg.ones(200, 2, 20, 20, device=device)
    out = host(T.RandomErasing(1, (0.1, 0.2), (0.5, 2), value=(5, 6), generator=seeded())(ones))
    for image in out:
        rows, columns = np.nonzero(image[0] != 1)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width
        assert 0.07 < height * width / 400 < 0.24
        assert 0.4 < height / width < 2.6
        assert set(image[0].ravel()) == {1, 5}
        np.testing.assert_array_equal(image[1] == 6, image[0] == 5)
    share = (host(T.RandomErasing(0.3, generator=seeded(1))(ones)) != 1).any((1, 2, 3)).mean()
    assert share == pytest.approx(0.3, abs=0.1)


def test_normalising_takes_mean_and_deviation_of_each_channel_out(images):
    x = host(images)
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3))
    out = host(T.Normalize(mean.tolist(), std.tolist())(images))
    np.testing.assert_allclose(out.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(out.std((0, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_allclose(host(T.Normalize(0.5, 2.0)(images[0])), (x[0] - 0.5) / 2, rtol=1e-6)


def test_stored_images_become_channels_first_floats(rng):
    stored = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(T.ToTensor()(stored).numpy(), stored.transpose(2, 0, 1) / np.float32(255))
    assert T.ToTensor()(stored[:, :, 0]).shape == (1, 4, 5)
    assert T.ToTensor()(stored.astype(np.float64)).dtype == rg.float64


@pytest.mark.parametrize(("source", "target"), [(rg.uint8, rg.float32), (rg.uint8, rg.int16), (rg.int16, rg.uint8)])
def test_dtypes_are_converted_with_their_range(source, target, device):
    largest = np.iinfo(source).max
    ends = rg.tensor([0, largest], dtype=source, device=device)
    wanted = 1.0 if target.kind == "f" else np.iinfo(target).max
    out = T.ConvertImageDtype(target)(ends)
    assert out.dtype == target
    assert out[0].item() == 0
    assert out[1].item() == pytest.approx(wanted, rel=0.01)
    back = T.ConvertImageDtype(source)(out)
    assert abs(int(back[1].item()) - int(largest)) <= largest // 128


def test_composed_transforms_run_in_order_and_say_what_they_are(images):
    both = T.Compose([T.Pad(1), T.CenterCrop((9, 11)), lambda x: x * 2])
    np.testing.assert_allclose(host(both(images)), host(images) * 2)
    text = repr(T.Compose([T.RandomHorizontalFlip(0.25), T.RandomCrop(4, padding=2)]))
    assert text == "Compose(\n    RandomHorizontalFlip(p=0.25)\n    RandomCrop(size=(4, 4), padding=2)\n)"


BAD = [
    (lambda: T.RandomHorizontalFlip(1.5), ValueError, "from 0 to 1, got 1.5"),
    (lambda: T.RandomHorizontalFlip(float("nan")), ValueError, "from 0 to 1"),
    (lambda: T.RandomCrop(0), ValueError, "size must be"),
    (lambda: T.RandomCrop(3, padding=-1), ValueError, "padding must be"),
    (lambda: T.RandomCrop(3, padding_mode="wrap"), ValueError, "one of constant, edge"),
    (lambda: T.Pad((1, 2, 3)), ValueError, "1, 2 or 4"),
    (lambda: T.RandomRotation(-3), ValueError, "must not be negative, got -3"),
    (lambda: T.RandomRotation(3, "bicubic"), ValueError, "'nearest' or 'bilinear'"),
    (lambda: T.RandomRotation(3, expand=True), NotImplementedError, "expand"),
    (lambda: T.RandomAffine(0, translate=(2, 0)), ValueError, "translate"),
    (lambda: T.RandomAffine(0, scale=(0, 1)), ValueError, "scale"),
    (lambda: T.RandomAffine(0, shear=(1, 2, 3)), ValueError, "shear"),
    (lambda: T.RandomRotation(3, "bilinear")(rg.zeros(1, 2, 2, dtype=rg.uint8)), TypeError, "floating images"),
    (lambda: T.GaussianBlur(4), ValueError, "odd"),
    (lambda: T.GaussianBlur(3, 0), ValueError, "sigma"),
    (lambda: T.GaussianBlur(3, (2, 1)), ValueError, "in order"),
    (lambda: T.GaussianBlur(3)(rg.zeros(1, 4, 4, dtype=rg.int64)), TypeError, "floating images"),
    (lambda: T.RandomErasing(scale=(0.5, 0.1)), ValueError, "scale"),
    (lambda: T.RandomErasing(ratio=(0, 1)), ValueError, "ratio"),
    (lambda: T.RandomErasing(value="noise"), ValueError, "'random'"),
    (lambda: T.RandomErasing(1, value=(1, 2))(rg.zeros(3, 4, 4)), ValueError, "2 values for 3 channels"),
    (lambda: T.RandomErasing(inplace=True), NotImplementedError, "inplace"),
    (lambda: T.Normalize(0, 0), ValueError, "std"),
    (lambda: T.Normalize([0, 0], [1, 1])(rg.zeros(3, 4, 4)), ValueError, "for 3 channels"),
    (lambda: T.Normalize(0, 1)(rg.zeros(3, 4, 4, dtype=rg.uint8)), TypeError, "floating"),
    (lambda: T.Normalize(0, 1, inplace=True), NotImplementedError, "inplace"),
    (lambda: T.ToTensor()([1, 2]), TypeError, "got list"),
    (lambda: T.ToTensor()(np.zeros(3)), ValueError, r"got shape \(3,\)"),
    (lambda: T.ConvertImageDtype(rg.bool), TypeError, "got bool"),
    (lambda: T.ConvertImageDtype(rg.int64)(rg.zeros(2)), RuntimeError, "float64 first"),
    (lambda: T.Compose([3]), TypeError, "expected functions"),
]


@pytest.mark.parametrize(("make", "kind", "words"), BAD)
def test_bad_arguments_raise_one_clear_error(make, kind, words):
    with raises_clearly(kind, words):
        make()
