"""Lazy layers against PyTorch: what they print and hold before and after the first input, and what they draw."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

CASES = [
    ("LazyLinear", (5,), {}, (3, 4)),
    ("LazyLinear", (5,), {"bias": False}, (2, 3, 4)),
    ("LazyBatchNorm1d", (), {}, (4, 3)),
    ("LazyBatchNorm2d", (), {"affine": False}, (4, 3, 2, 2)),
    ("LazyBatchNorm3d", (), {"track_running_stats": False, "bias": False}, (4, 3, 2, 2, 2)),
    ("LazyInstanceNorm1d", (), {}, (4, 3, 5)),
    ("LazyInstanceNorm2d", (), {"affine": False}, (4, 3, 5, 2)),
    ("LazyInstanceNorm3d", (), {}, (4, 3, 5, 2, 2)),
    ("LazyConv1d", (4, 3), {"groups": 2, "padding": 1}, (2, 6, 5)),
    ("LazyConv2d", (4, (3, 2)), {"bias": False, "padding_mode": "reflect", "padding": 1}, (2, 3, 5, 5)),
    ("LazyConv3d", (4, 2), {"stride": 2}, (3, 4, 4, 4)),
    ("LazyConvTranspose1d", (4, 3), {"stride": 2, "output_padding": 1}, (2, 6, 5)),
    ("LazyConvTranspose2d", (4, 3), {"groups": 2}, (2, 6, 5, 5)),
    ("LazyConvTranspose3d", (4, 2), {"bias": False}, (2, 3, 3, 3, 3)),
]


@pytest.mark.parametrize(("name", "arguments", "settings", "shape"), CASES)
def test_before_and_after_the_first_input_it_is_pytorchs(name, arguments, settings, shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    rg.manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(rg.nn, name)(*arguments, **settings)
    theirs = getattr(torch.nn, name)(*arguments, **settings)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [repr(p) for p in ours.parameters()] == [repr(p) for p in theirs.parameters()]
    out, expected = ours(rg.tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    assert repr(ours) == repr(theirs)
    assert type(ours).__name__ == type(theirs).__name__
    for (key, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert key == other
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "action",
    [
        lambda lib: lib.nn.LazyLinear(3).weight.shape,
        lambda lib: lib.nn.LazyLinear(3).weight * 2,
        lambda lib: lib.nn.LazyBatchNorm2d()(lib.ones(2, 3)),
        lambda lib: lib.nn.LazyConv2d(3, 2)(lib.ones(2, 3)),
        lambda lib: lib.nn.LazyConv1d(4, 2, groups=2)(lib.ones(2, 3, 5)),
    ],
)
def test_a_mistake_raises_pytorchs_exception(action):
    assert_same_kind(*[raised_by(action, library) for library in (rg, torch)])
