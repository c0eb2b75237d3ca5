"""Recurrent layers, cells and packed sequences against PyTorch."""

import itertools
import warnings

import numpy as np
import pytest

import retrograd as rg
from retrograd.nn.utils import rnn as packing
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

GRID = [
    (kind, options)
    for kind in ("RNN", "LSTM", "GRU")
    for options in (
        {},
        {"num_layers": 2},
        {"bias": False},
        {"batch_first": True},
        {"bidirectional": True},
        {"num_layers": 3, "bidirectional": True, "batch_first": True},
        {"num_layers": 2, "bidirectional": True, "bias": False},
        {"num_layers": 2, "dropout": 0.4},
    )
] + [
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True, "bias": False, "batch_first": True}),
]
NAMES = [f"{kind}-{'-'.join(f'{k}={v}' for k, v in options.items())}" for kind, options in GRID]
LENGTHS = [3, 6, 1, 4]
CASES = [
    *itertools.product(["batch", "alone", "packed"], [False, True], ["float64"]),
    ("batch", False, "float32"),
    ("packed", True, "float32"),
]


def pair(kind, options, dtype="float64", sizes=(3, 5)):
    """Equal layers, seeded equally."""
    made = []
    for library in (rg, torch):
        library.manual_seed(7)
        made.append(getattr(library.nn, kind)(*sizes, dtype=getattr(library, dtype), **options))
    return made


def flat(result):
    """All tensors of a result, packed data included."""
    if isinstance(result, (tuple, list)):
        named = hasattr(result, "batch_sizes")
        return [t for part in (result[:1] if named else result) for t in flat(part)]
    return [result]


def same(ours, theirs, rtol):
    ours, theirs = flat(ours), flat(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == tuple(b.shape)
        assert str(a.dtype) == str(b.dtype).removeprefix("torch.")
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=rtol)


def states_for(layer, batch, library, dtype="float64"):
    """Initial states of a layer, and whether they are one or two."""
    rng = np.random.default_rng(3)
    blocks = layer.num_layers * (2 if layer.bidirectional else 1)
    shapes = [(blocks, *batch, layer.proj_size or layer.hidden_size), (blocks, *batch, layer.hidden_size)]
    made = [library.tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in shapes]
    return (made, tuple(made)) if isinstance(layer, library.nn.LSTM) else (made[:1], made[0])


def trained(library, layer, x, hx, leaves):
    """Result, and the gradients of a weighted sum for inputs, states and parameters."""
    library.manual_seed(11)
    result = layer(x) if hx is None else layer(x, hx)
    tensors = flat(result)
    loss = sum((t * t * (0.5 + i)).sum() for i, t in enumerate(tensors))
    gradients = library.autograd.grad(loss, [*leaves, *layer.parameters()])
    return result, gradients


@pytest.mark.parametrize(("kind", "options"), GRID, ids=NAMES)
@pytest.mark.parametrize(("form", "given", "dtype"), CASES)
def test_values_and_gradients_are_pytorchs(kind, options, form, given, dtype):
    rtol = 1e-9 if dtype == "float64" else 2e-4
    layers = pair(kind, options, dtype)
    steps, batch = 6, len(LENGTHS)
    shape = (steps, 3) if form == "alone" else (batch, steps, 3) if options.get("batch_first") else (steps, batch, 3)
    values = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    found = []
    for library, layer in zip((rg, torch), layers, strict=True):
        leaf = x = library.tensor(values, requires_grad=True)
        if form == "packed":
            utils = library.nn.utils.rnn
            x = utils.pack_padded_sequence(x, LENGTHS, options.get("batch_first", False), enforce_sorted=False)
        leaves, hx = states_for(layer, () if form == "alone" else (batch,), library, dtype) if given else ([], None)
        found.append(trained(library, layer, x, hx, [leaf, *leaves]))
    (ours, our_gradients), (theirs, their_gradients) = found
    same(ours, theirs, rtol)
    same(our_gradients, their_gradients, rtol)


@pytest.mark.parametrize(("kind", "options"), GRID, ids=NAMES)
def test_parameters_names_repr_and_evaluation_are_pytorchs(kind, options):
    ours, theirs = pair(kind, options, "float32")
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    assert [[w.shape for w in ws] for ws in ours.all_weights] == [
        [tuple(w.shape) for w in ws] for ws in theirs.all_weights
    ]
    fresh = getattr(rg.nn, kind)(3, 5, **options)
    fresh.load_state_dict({name: rg.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
    same(fresh.eval()(rg.tensor(x)), theirs.eval()(torch.tensor(x)), 1e-5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_second_gradients_are_pytorchs(kind):
    found = []
    for library, layer in zip((rg, torch), pair(kind, {"bidirectional": True}), strict=True):
        x = library.tensor(np.random.default_rng(0).standard_normal((4, 2, 3)), requires_grad=True)
        output, _ = layer(x)
        first = library.autograd.grad((output**2).sum(), [x, *layer.parameters()], create_graph=True)
        found.append(library.autograd.grad(sum((g**2).sum() for g in first), [x, *layer.parameters()]))
    same(*found, 1e-9)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("options", [{}, {"bias": False}])
@pytest.mark.parametrize("batch", [(), (2,), (0,)])
@pytest.mark.parametrize("given", [False, True])
def test_cells_are_pytorchs(kind, options, batch, given):
    ours, theirs = pair(kind, options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(0)
    values, *states = (rng.standard_normal((*batch, n)) for n in (3, 5, 5))
    found = []
    for library, cell in zip((rg, torch), (ours, theirs), strict=True):
        x = library.tensor(values, requires_grad=True)
        leaves = [library.tensor(s, requires_grad=True) for s in states[: 2 if kind == "LSTMCell" else 1]]
        hx = tuple(leaves) if kind == "LSTMCell" else leaves[0]
        found.append(trained(library, cell, x, hx if given else None, [x, *leaves] if given else [x]))
    same(found[0][0], found[1][0], 1e-9)
    same(found[0][1], found[1][1], 1e-9)


def test_the_cell_with_relu_is_pytorchs():
    ours, theirs = pair("RNNCell", {"nonlinearity": "relu"})
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).standard_normal((2, 3))
    same(ours(rg.tensor(x)), theirs(torch.tensor(x)), 1e-12)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_an_empty_batch_gives_empty_results(kind):
    ours, theirs = pair(kind, {})
    same(ours(rg.zeros(4, 0, 3, dtype=rg.float64)), theirs(torch.zeros(4, 0, 3, dtype=torch.float64)), 1e-9)


def test_dropout_without_layers_between_warns_as_in_pytorch():
    for library in (rg, torch):
        with pytest.warns(UserWarning, match="num_layers greater than 1"):
            library.nn.LSTM(3, 4, dropout=0.5)


def test_sizes_may_be_given_by_position():
    assert repr(rg.nn.RNN(3, 4, 2, "relu", False)) == repr(torch.nn.RNN(3, 4, 2, "relu", False))
    assert repr(rg.nn.LSTM(3, 4, 2, False, True, 0.5, True, 2)) == repr(
        torch.nn.LSTM(3, 4, 2, False, True, 0.5, True, 2)
    )
    assert repr(rg.nn.GRU(3, 4, 2, False, True, 0.5, True)) == repr(torch.nn.GRU(3, 4, 2, False, True, 0.5, True))


# ---- sequences

SEQUENCES = [np.arange(n * 2.0).reshape(n, 2) - n for n in LENGTHS]


def packed_fields(p):
    return [None if t is None else t.tolist() for t in (p.data, p.batch_sizes, p.sorted_indices, p.unsorted_indices)]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("value", [0.0, -1.5])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_pad_sequence_is_pytorchs(batch_first, side, value, dtype):
    arguments = {"batch_first": batch_first, "padding_side": side, "padding_value": value}
    ours = packing.pad_sequence([rg.tensor(s.astype(dtype)) for s in SEQUENCES], **arguments)
    theirs = torch.nn.utils.rnn.pad_sequence([torch.tensor(s.astype(dtype)) for s in SEQUENCES], **arguments)
    same(ours, theirs, 0)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[6, 4, 3, 1], [2, 2, 2, 2], [3, 6, 1, 4], [5, 1, 5, 5]])
@pytest.mark.parametrize("total_length", [None, 8])
def test_packing_is_pytorchs(batch_first, lengths, total_length):
    values = np.random.default_rng(0).standard_normal((4, 6, 2) if batch_first else (6, 4, 2))
    enforce = lengths == sorted(lengths, reverse=True)
    found = []
    for library in (rg, torch):
        utils, x = library.nn.utils.rnn, library.tensor(values, requires_grad=True)
        packed = utils.pack_padded_sequence(x, library.tensor(lengths), batch_first, enforce)
        padded, counts = utils.pad_packed_sequence(packed, batch_first, -2.0, total_length)
        (gradient,) = library.autograd.grad((padded**3).sum(), x)
        alone = [s.tolist() for s in utils.unpack_sequence(packed)]
        found.append([*packed_fields(packed), padded.tolist(), counts.tolist(), gradient.tolist(), alone])
    assert found[0][1:3] == found[1][1:3]
    assert found[0][3] == found[1][3]
    for a, b in zip(found[0], found[1], strict=True):
        assert a == b or np.allclose(a, b, rtol=1e-12)


def test_pack_sequence_and_its_repr_are_pytorchs():
    arrays = sorted(SEQUENCES, key=len, reverse=True)
    ours = packing.pack_sequence([rg.tensor(a) for a in arrays])
    theirs = torch.nn.utils.rnn.pack_sequence([torch.tensor(a) for a in arrays])
    assert packed_fields(ours) == packed_fields(theirs)
    assert repr(packing.pack_sequence([rg.tensor([1, 2]), rg.tensor([3])])) == repr(
        torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    )


@pytest.mark.parametrize("batch_first", [False, True])
def test_unpad_sequence_is_pytorchs(batch_first):
    x = np.arange(12.0).reshape(4, 3)
    lengths = [2, 4, 1] if not batch_first else [1, 3, 2, 0]
    ours = packing.unpad_sequence(rg.tensor(x), rg.tensor(lengths), batch_first)
    theirs = torch.nn.utils.rnn.unpad_sequence(torch.tensor(x), torch.tensor(lengths), batch_first)
    assert [s.tolist() for s in ours] == [s.tolist() for s in theirs]


def test_invert_permutation_is_pytorchs():
    order = [2, 0, 3, 1]
    ours = packing.invert_permutation(rg.tensor(order))
    assert ours.tolist() == torch.nn.utils.rnn.invert_permutation(torch.tensor(order)).tolist()
    assert packing.invert_permutation(None) is None


@pytest.mark.parametrize("method", ["double", "float", "half", "long", "int", "short", "char", "byte", "cpu"])
def test_conversions_of_packed_sequences_are_pytorchs(method):
    ours, theirs = (
        getattr(library.nn.utils.rnn.pack_sequence([library.tensor([2.0, 1.0]), library.tensor([3.0])]), method)()
        for library in (rg, torch)
    )
    same(ours, theirs, 0)


# ---- mistakes

MISTAKES = {
    "another width": lambda t: t.nn.LSTM(3, 4)(t.ones(5, 2, 7)),
    "another dtype": lambda t: t.nn.GRU(3, 4)(t.ones(5, 2, 3, dtype=t.float64)),
    "four dimensions": lambda t: t.nn.RNN(3, 4)(t.ones(5, 2, 3, 1)),
    "no steps": lambda t: t.nn.LSTM(3, 4)(t.ones(0, 2, 3)),
    "a batched state for one": lambda t: t.nn.LSTM(3, 4)(t.ones(5, 3), (t.ones(1, 1, 4), t.ones(1, 1, 4))),
    "an unbatched state for a batch": lambda t: t.nn.GRU(3, 4)(t.ones(5, 2, 3), t.ones(1, 4)),
    "a state of another batch": lambda t: t.nn.GRU(3, 4)(t.ones(5, 2, 3), t.ones(1, 3, 4)),
    "a state of another width": lambda t: t.nn.LSTM(3, 4)(t.ones(5, 2, 3), (t.ones(1, 2, 4), t.ones(1, 2, 5))),
    "an unknown nonlinearity": lambda t: t.nn.RNN(3, 4, nonlinearity="gelu"),
    "an unknown mode": lambda t: t.nn.RNNBase("QRNN", 3, 4),
    "proj_size too large": lambda t: t.nn.LSTM(3, 4, proj_size=4),
    "proj_size negative": lambda t: t.nn.LSTM(3, 4, proj_size=-1),
    "proj_size of RNN": lambda t: t.nn.RNN(3, 4, proj_size=2),
    "proj_size of GRU": lambda t: t.nn.GRU(3, 4, proj_size=0),
    "an unknown option": lambda t: t.nn.GRU(3, 4, projection=2),
    "dropout beyond one": lambda t: t.nn.LSTM(3, 4, 2, dropout=1.1),
    "dropout a bool": lambda t: t.nn.LSTM(3, 4, 2, dropout=True),
    "no layers": lambda t: t.nn.LSTM(3, 4, 0),
    "no units": lambda t: t.nn.LSTM(3, 0),
    "no inputs": lambda t: t.nn.LSTM(0, 3),
    "a float as a size": lambda t: t.nn.LSTM(3, 4.0),
    "bias an int": lambda t: t.nn.LSTM(3, 4, bias=1),
    "batch_first an int": lambda t: t.nn.LSTM(3, 4, batch_first=1),
    "a cell given three dimensions": lambda t: t.nn.LSTMCell(3, 4)(t.ones(5, 2, 3)),
    "a cell's state of three dimensions": lambda t: t.nn.GRUCell(3, 4)(t.ones(2, 3), t.ones(1, 2, 4)),
    "a cell given another width": lambda t: t.nn.RNNCell(3, 4)(t.ones(2, 5)),
    "a cell given another batch": lambda t: t.nn.LSTMCell(3, 4)(t.ones(2, 3), (t.ones(3, 4), t.ones(3, 4))),
    "an unknown nonlinearity of a cell": lambda t: t.nn.RNNCell(3, 4, nonlinearity="gelu")(t.ones(2, 3)),
    "lengths that do not fall": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [1, 3]),
    "a length of zero": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [3, 0]),
    "too few lengths": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [3]),
    "nothing to pack": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 0), []),
    "lengths in a matrix": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), t.tensor([[3, 1]])),
    "a total that is too short": lambda t: t.nn.utils.rnn.pad_packed_sequence(
        t.nn.utils.rnn.pack_sequence([t.ones(3)]), total_length=2
    ),
    "unsorted sequences": lambda t: t.nn.utils.rnn.pack_sequence([t.ones(1), t.ones(3)]),
    "no sequences": lambda t: t.nn.utils.rnn.pad_sequence([]),
    "an unknown side": lambda t: t.nn.utils.rnn.pad_sequence([t.ones(2)], padding_side="top"),
    "sequences of other widths": lambda t: t.nn.utils.rnn.pad_sequence([t.ones(2, 3), t.ones(2, 4)]),
    "no list": lambda t: t.nn.utils.rnn.pad_sequence(3),
    "numbers among sequences": lambda t: t.nn.utils.rnn.pad_sequence([t.ones(2), 3]),
    "packed data alone": lambda t: t.nn.utils.rnn.PackedSequence(t.ones(3)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_raise_pytorchs_exceptions(mistake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_kind(raised_by(MISTAKES[mistake], rg), raised_by(MISTAKES[mistake], torch))
