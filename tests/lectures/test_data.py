"""Rows L20 and L23: data sets, batches, splits, normalisation, and the 8×8 digits."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.data import DataLoader, Dataset, Digits, TensorDataset, TransformDataset, random_split, transforms


def points(count=100):
    rng = np.random.default_rng(0)
    inputs = rng.normal(loc=3.0, scale=2.0, size=(count, 4)).astype(np.float32)
    return rg.tensor(inputs), rg.arange(count)


def test_L20_batches_of_a_tensor_dataset_hold_every_sample_once(device):
    with rg.device(device):
        x, y = points(103)
        for shuffle in (False, True):
            batches = list(DataLoader(TensorDataset(x, y), batch_size=10, shuffle=shuffle))
            assert [len(inputs) for inputs, _ in batches] == [10] * 10 + [3]
            order = [i for _, targets in batches for i in targets.tolist()]
            assert sorted(order) == list(range(103))
            assert (order == list(range(103))) is not shuffle
            for inputs, targets in batches:
                assert inputs.tolist() == x[targets].tolist()


def test_L20_drop_last_leaves_the_incomplete_batch_out(device):
    with rg.device(device):
        loader = DataLoader(TensorDataset(*points(103)), batch_size=10, drop_last=True)
        assert len(loader) == 10
        assert {len(inputs) for inputs, _ in loader} == {10}


class Circle(Dataset):
    """The notes' own data set: a point, and whether it lies in the unit circle."""

    def __init__(self, count):
        self.points = np.random.default_rng(1).normal(size=(count, 2)).astype(np.float32)

    def __getitem__(self, index):
        point = self.points[index]
        return point, np.float32(point @ point < 1)

    def __len__(self):
        return len(self.points)


@pytest.mark.parametrize("workers", [0, 2])
def test_L20_a_data_set_of_ones_own_needs_getitem_and_len_alone(workers):
    data = Circle(50)
    inputs, inside = zip(*DataLoader(data, batch_size=20, num_workers=workers))
    assert [batch.shape for batch in inputs] == [(20, 2), (20, 2), (10, 2)]
    np.testing.assert_array_equal(np.concatenate([batch.numpy() for batch in inputs]), data.points)
    expected = (np.square(data.points).sum(1) < 1).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate([batch.numpy() for batch in inside]), expected)


def test_L20_the_seed_fixes_the_order_of_every_epoch():
    loader = DataLoader(TensorDataset(rg.arange(30)), batch_size=7, shuffle=True)

    def epochs(seed):
        rg.manual_seed(seed)
        return [[batch.tolist() for (batch,) in loader] for _ in range(3)]

    first = epochs(0)
    assert epochs(0) == first
    assert epochs(1) != first
    assert first[0] != first[1] != first[2]


def test_L20_a_split_of_80_10_10_is_disjoint_and_complete():
    data = TensorDataset(*points(1797))
    parts = random_split(data, [0.8, 0.1, 0.1], generator=rg.Generator().manual_seed(0))
    assert [len(part) for part in parts] == [1438, 180, 179]
    seen = [int(target) for part in parts for _, target in part]
    assert sorted(seen) == list(range(1797))


def test_L20_all_parts_are_normalised_by_the_training_sets_mean_and_deviation(device):
    with rg.device(device):
        x, y = points(1000)
        train, _, test = random_split(TensorDataset(x, y), [0.8, 0.1, 0.1], generator=rg.Generator().manual_seed(0))
        mean, std = x[train.indices].mean(dim=0), x[train.indices].std(dim=0)
        normal = TensorDataset((x - mean) / std, y)
        rows = normal.tensors[0][train.indices]
        np.testing.assert_allclose(rows.mean(dim=0).cpu().numpy(), 0, atol=1e-5)
        np.testing.assert_allclose(rows.std(dim=0).cpu().numpy(), 1, atol=1e-5)
        held_out = normal.tensors[0][test.indices].mean(dim=0).cpu().numpy()
        assert 1e-4 < np.abs(held_out).max() < 0.5  # near 0, but not by its own mean


def test_L23_the_digits_flatten_row_by_row_to_64_inputs(device):
    datasets = pytest.importorskip("sklearn.datasets", reason="the digits come with scikit-learn, in the extra demo")
    bunch = datasets.load_digits()
    with rg.device(device):
        data = Digits()
        images, labels = next(iter(DataLoader(data, batch_size=len(data))))
        assert images.shape == (1797, 1, 8, 8)
        flat = images.flatten(start_dim=1)
    assert flat.shape == (1797, 64)
    rows = np.array([[image[row][column] for row in range(8) for column in range(8)] for image in bunch.images])
    np.testing.assert_array_equal(flat.cpu().numpy() * 16, rows)
    np.testing.assert_array_equal(labels.cpu().numpy(), bunch.target)


AUGMENTATIONS = {
    "flip": transforms.RandomHorizontalFlip(p=1.0),
    "crop with padding": transforms.RandomCrop(8, padding=2),
    "rotation": transforms.RandomRotation(20, interpolation="bilinear"),
    "scale": transforms.RandomAffine(0, scale=(0.7, 0.9)),
    "translation": transforms.RandomAffine(0, translate=(0.3, 0.3)),
    "Gaussian blur": transforms.GaussianBlur(3, sigma=(0.5, 1.0)),
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_L21_augmentation_changes_the_training_images_alone(name, device):
    rg.manual_seed(0)
    with rg.device(device):
        data = TensorDataset(rg.rand(50, 1, 8, 8), rg.arange(50))
    train, test = random_split(data, [0.8, 0.2])
    augmented = TransformDataset(train, AUGMENTATIONS[name])
    for images, labels in DataLoader(augmented, batch_size=20, shuffle=True):
        originals = data.tensors[0][labels]
        changed = (images != originals).flatten(1).any(dim=1)
        assert changed.float().mean().item() > 0.5
        assert images.shape == (20, 1, 8, 8)
        assert images.device == originals.device
    for images, labels in DataLoader(test, batch_size=10):
        assert images.tolist() == data.tensors[0][labels].tolist()


def test_L21_every_epoch_sees_other_variants_and_the_seed_repeats_them():
    data = TensorDataset(rg.rand(20, 1, 8, 8), rg.arange(20))
    loader = DataLoader(TransformDataset(data, transforms.RandomCrop(8, padding=2)), batch_size=20)

    def epochs():
        rg.manual_seed(1)
        return [images.tolist() for _ in range(2) for images, _ in loader]

    first, second = epochs()
    assert first != second
    assert epochs() == [first, second]
