"""Everything that draws in training, against PyTorch from the same seed: masks, gradients, and the stream after it."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.filterwarnings("ignore:dropout"),
    pytest.mark.filterwarnings("ignore:.*deprecated"),
]
CASES = [
    ("dropout", (4, 6, 5)),
    ("dropout1d", (4, 6, 5)),
    ("dropout1d", (6, 5)),
    ("dropout2d", (2, 3, 4, 5)),
    ("dropout2d", (2, 3, 5)),
    ("dropout3d", (2, 3, 4, 5, 2)),
    ("dropout3d", (3, 4, 5, 2)),
    ("alpha_dropout", (4, 6)),
    ("feature_alpha_dropout", (4, 6, 5)),
    ("rrelu", (7, 9)),
]


def same(ours, theirs, rtol=1e-6):
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_the_same_seed_draws_the_same(name, shape, p, inplace, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    settings = (p / 10, p / 2) if name == "rrelu" else (p,)
    grown, results = [], []
    for library in (rg, torch):
        library.manual_seed(3)
        leaf = library.tensor(x, requires_grad=True)
        value = leaf * 1
        out = getattr(library.nn.functional, name)(value, *settings, training=True, inplace=inplace)
        (out * out).sum().backward()
        grown.append(leaf.grad)
        results.append((out, value, library.rand(3)))
    same(*grown)
    for ours, theirs in zip(*results, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dim", [0, -1])
def test_gumbel_softmax_draws_the_same(hard, dim):
    x = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    found = []
    for library in (rg, torch):
        library.manual_seed(3)
        leaf = library.tensor(x, requires_grad=True)
        out = library.nn.functional.gumbel_softmax(leaf, 0.7, hard, dim=dim)
        (out**2).sum().backward()
        found.append((out, leaf.grad))
    for ours, theirs in zip(*found, strict=True):
        same(ours, theirs, 1e-5)


@pytest.mark.parametrize(
    "name", ["Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "RReLU", "Softmax2d"]
)
def test_the_repr_is_pytorchs(name):
    assert repr(getattr(rg.nn, name)()) == repr(getattr(torch.nn, name)())


def test_rrelu_and_softmax2d_in_evaluation():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    for name in ("RReLU", "Softmax2d"):
        same(getattr(rg.nn, name)().eval()(rg.tensor(x)), getattr(torch.nn, name)().eval()(torch.tensor(x)))


@pytest.mark.parametrize(
    "action",
    [
        lambda lib: lib.nn.Dropout2d(1.5),
        lambda lib: lib.nn.functional.alpha_dropout(lib.ones(3), -0.1),
        lambda lib: lib.nn.functional.dropout1d(lib.ones(3)),
        lambda lib: lib.nn.functional.dropout2d(lib.ones(3)),
        lambda lib: lib.nn.functional.feature_alpha_dropout(lib.ones(3), training=True),
        lambda lib: lib.nn.functional.rrelu(lib.ones(3), 0.5, 0.1, True),
        lambda lib: lib.nn.Softmax2d()(lib.ones(2, 3)),
    ],
)
def test_a_mistake_raises_pytorchs_exception(action):
    assert_same_kind(*[raised_by(action, library) for library in (rg, torch)])


class TestContainers:
    def test_a_parameter_dict_does_what_pytorchs_does(self):
        found = []
        for library in (rg, torch):
            first = library.nn.ParameterDict({"b": library.ones(2), "a": library.zeros(3)})
            second = library.nn.ParameterDict([("c", library.ones(1)), ("d", 5)])
            joined = first | second
            first |= {"z": library.ones(1)}
            steps = [list(first), list(joined), list(reversed(joined)), joined.get("q", 7), joined.pop("d")]
            steps += [joined.setdefault("a") is first["a"], joined.popitem()[0], list(joined.copy())]
            steps += [list(joined.fromkeys(["x", "y"], 3)), list(joined.state_dict())]
            joined.clear()
            found.append([*steps, len(joined)])
        assert found[0] == found[1]

    def test_a_sequential_can_be_multiplied_and_extended_in_place(self):
        found = []
        for library in (rg, torch):
            model = library.nn.Sequential(library.nn.ReLU(), library.nn.Tanh())
            model *= 2
            model += library.nn.Sequential(library.nn.Sigmoid())
            found.append(repr(3 * model))
        assert found[0] == found[1]

    @pytest.mark.parametrize(
        "action",
        [
            lambda lib: lib.nn.ParameterDict(3),
            lambda lib: lib.nn.ParameterDict([1]),
            lambda lib: lib.nn.ParameterDict([(1, 2, 3)]),
            lambda lib: lib.nn.ParameterDict([(1, 2)]),
            lambda lib: lib.nn.ParameterDict()(1),
            lambda lib: lib.nn.ParameterList().extend(lib.ones(2)),
            lambda lib: lib.nn.Sequential(lib.nn.ReLU()) * 0,
            lambda lib: lib.nn.Sequential(lib.nn.ReLU()) * 1.5,
            lambda lib: lib.nn.Unflatten(1, 3),
            lambda lib: lib.nn.Unflatten(1, (1.5, 2)),
        ],
    )
    def test_a_mistake_raises_pytorchs_exception(self, action):
        assert_same_kind(*[raised_by(action, library) for library in (rg, torch)])
