"""Recurrent layers without PyTorch at hand: their formulas, gradients, packing, and what they answer to mistakes."""

import itertools

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.autograd import ops
from retrograd.autograd.ops import recurrent
from retrograd.nn.utils import rnn as packing
from tests.autograd.factory import each, function, tensor_of
from tests.data.errors import raises_clearly

DENSE, RAGGED = (2, 2), (2, 1)
"""Batches of two sequences: both of two steps, and the second of one step."""


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def walk(step, x, state, sizes, reverse):
    """All h and the last states, row by row, with nothing clever."""
    state, starts = [s.copy() for s in state], np.cumsum((0, *sizes))
    out = [None] * len(x)
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        for b in range(sizes[t]):
            new = step(x[starts[t] + b], *[s[b] for s in state])
            out[starts[t] + b] = new[0]
            for s, value in zip(state, new, strict=True):
                s[b] = value
    return np.array(out), *state


def rnn_reference(x, h, w_ih, w_hh, b, nonlinearity, sizes, reverse):
    f = np.tanh if nonlinearity == "tanh" else lambda z: np.maximum(z, 0)
    return walk(lambda x, h: (f(w_ih @ x + b + w_hh @ h),), x, [h], sizes, reverse)


def lstm_reference(x, h, c, w_ih, w_hh, b, w_hr=None, *, sizes, reverse):
    def step(x, h, c):
        i, f, g, o = np.split(w_ih @ x + b + w_hh @ h, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return (h if w_hr is None else w_hr @ h), c

    return walk(step, x, [h, c], sizes, reverse)


def gru_reference(x, h, w_ih, w_hh, b, b_n, sizes, reverse):
    def step(x, h):
        (x_r, x_z, x_n), (s_r, s_z, s_n) = np.split(w_ih @ x + b, 3), np.split(w_hh @ h, 3)
        r, z = sigmoid(x_r + s_r), sigmoid(x_z + s_z)
        n = np.tanh(x_n + r * (s_n + b_n))
        return ((1 - z) * n + z * h,)

    return walk(step, x, [h], sizes, reverse)


RNN_SHAPES = [((3, 3), (2, 2), (2, 3), (2, 2), (2,))]
LSTM_SHAPES = [((3, 3), (2, 2), (2, 2), (8, 3), (8, 2), (8,))]
PROJECTED_SHAPES = [((3, 3), (2, 1), (2, 2), (8, 3), (8, 1), (8,), (1, 2))]
GRU_SHAPES = [((3, 3), (2, 2), (6, 3), (6, 2), (6,), (2,))]
OPTIONS = {"sizes": RAGGED, "reverse": each(False, True), "repeated": False}

test_rnn_tanh = function(
    ops.rnn, rnn_reference, *["any"] * 5, shapes=RNN_SHAPES, nonlinearity="tanh", **OPTIONS
)  # fmt: skip
test_rnn_relu = function(
    ops.rnn, rnn_reference, *["any"] * 5, shapes=RNN_SHAPES, nonlinearity="relu", rtol=1e-11, **OPTIONS
)
test_lstm = function(ops.lstm, lstm_reference, *["any"] * 6, shapes=LSTM_SHAPES, **OPTIONS)
test_lstm_projected = function(
    ops.lstm_projected, lstm_reference, *["any"] * 7, shapes=PROJECTED_SHAPES, **OPTIONS
)  # fmt: skip
test_gru = function(ops.gru, gru_reference, *["any"] * 6, shapes=GRU_SHAPES, **OPTIONS)


STEPS = {
    "rnn": (recurrent.rnn_step("tanh"), 1, RNN_SHAPES, {"nonlinearity": "tanh"}),
    "lstm": (recurrent.lstm_step, 2, LSTM_SHAPES, {}),
    "lstm_projected": (recurrent.lstm_step, 2, PROJECTED_SHAPES, {}),
    "gru": (recurrent.gru_step, 1, GRU_SHAPES, {}),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(("sizes", "reverse"), [*itertools.product([DENSE, RAGGED], [False, True])])
def test_one_node_is_its_single_operations_to_second_order(device, name, sizes, reverse):
    step, states, shapes, options = STEPS[name]
    rng = np.random.default_rng(1)
    arrays = [rng.uniform(-1, 1, shape) for shape in shapes[0]]
    arrays[0] = rng.uniform(-1, 1, (sum(sizes), arrays[0].shape[1]))

    def derivatives(call):
        inputs = [tensor_of(a, device) for a in arrays]
        outs = call(*inputs)
        loss = sum((out * out).sum() for out in outs)
        first = rg.autograd.grad(loss, inputs, create_graph=True)
        second = rg.autograd.grad(sum((g * g).sum() for g in first), inputs)
        return [*outs, *first, *second]

    fused = derivatives(lambda *ts: getattr(ops, name)(*ts, sizes=sizes, reverse=reverse, **options))
    single = derivatives(
        lambda x, *rest: recurrent.unrolled(ops, step, x, rest[:states], rest[states:], sizes, reverse)
    )  # fmt: skip
    for a, b in zip(fused, single, strict=True):
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["lstm", "lstm_projected", "gru"])
def test_it_does_not_matter_in_how_many_parts_the_steps_are_multiplied(xp, device, monkeypatch, name, reverse):
    rng, (shape, *shapes) = np.random.default_rng(3), STEPS[name][2][0]
    arrays = [rng.uniform(-1, 1, s) for s in ((7, shape[1]), *shapes)]

    def derivatives():
        inputs = [tensor_of(a, device) for a in arrays]
        outs = getattr(ops, name)(*inputs, sizes=(2, 2, 2, 1), reverse=reverse)
        return [*outs, *rg.autograd.grad(sum((out * out).sum() for out in outs), inputs)]

    at_once = derivatives()
    for scratch in (1, 3 * 8 * 8 * 8):  # a part for every step, and for one or two of them
        monkeypatch.setattr(xp, "scratch_bytes", scratch)
        for a, b in zip(derivatives(), at_once, strict=True):
            np.testing.assert_allclose(host(a), host(b), rtol=1e-12)


LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell]


def host(t):
    return t.detach().cpu().numpy()


@pytest.mark.parametrize("kind", LAYERS)
def test_a_training_step_never_waits_for_the_device(kind, forbid_synchronization):
    layer = kind(3, 4, num_layers=2, bidirectional=True, device="strict:0")
    output, _ = layer(rg.ones(5, 2, 3, device="strict:0"))
    output.sum().backward()
    assert all(p.grad is not None and p.grad.device == p.device for p in layer.parameters())


@pytest.mark.parametrize(("kind", "cell_kind"), [*zip(LAYERS, CELLS, strict=True)])
def test_a_layer_is_its_cell_over_and_over(device, kind, cell_kind):
    layer, cell = kind(3, 4, device=device), cell_kind(3, 4, device=device)
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.state_dict().items()})
    x = tensor_of(np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32), device)
    state, outs = None, []
    for step in range(5):
        state = cell(x[step], state)
        outs.append(state[0] if isinstance(state, tuple) else state)
    output, _ = layer(x)
    np.testing.assert_allclose(host(output), host(rg.stack(outs)), rtol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_packed_batch_gives_what_every_sequence_gives_alone(device, kind):
    layer = kind(3, 4, num_layers=2, bidirectional=True, device=device, dtype=rg.float64)
    rng = np.random.default_rng(2)
    sequences = [tensor_of(rng.standard_normal((n, 3)), device) for n in (2, 5, 1, 4)]
    packed = packing.pack_sequence(sequences, enforce_sorted=False)
    output, state = layer(packed)
    last = state[0] if isinstance(state, tuple) else state
    for i, (alone, together) in enumerate(zip(sequences, packing.unpack_sequence(output), strict=True)):
        out, final = layer(alone)
        np.testing.assert_allclose(host(together), host(out), rtol=1e-12)
        np.testing.assert_allclose(
            host(last)[:, i], host(final[0] if isinstance(final, tuple) else final), rtol=1e-12
        )  # fmt: skip


@pytest.mark.parametrize("kind", LAYERS)
def test_changing_the_output_in_place_leaves_the_gradient_right(device, kind):
    layer, x = kind(2, 3, device=device), tensor_of(np.ones((4, 1, 2), np.float32), device)
    output, _ = layer(x)
    output.sum().backward()
    wanted = host(layer.weight_ih_l0.grad)
    layer.zero_grad()
    output, _ = layer(x)
    output.mul_(1).add_(5)
    output.sum().backward()
    np.testing.assert_array_equal(host(layer.weight_ih_l0.grad), wanted)


def test_flatten_parameters_changes_nothing(device):
    layer = nn.LSTM(2, 3, device=device)
    before = [host(p).copy() for p in layer.parameters()]
    assert layer.flatten_parameters() is None
    for p, then in zip(layer.parameters(), before, strict=True):
        np.testing.assert_array_equal(host(p), then)


# ---- sequences


def test_packing_and_padding_undo_each_other(device):
    sequences = [tensor_of(np.arange(1.0, n + 1), device) for n in (2, 4, 3)]
    packed = packing.pack_sequence(sequences, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [3, 3, 2, 1]
    assert packed.batch_sizes.device.type == "cpu"
    assert packed.data.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 4]
    assert packed.data.device == device
    padded, lengths = packing.pad_packed_sequence(packed, padding_value=-1)
    assert padded.tolist() == [[1, 1, 1], [2, 2, 2], [-1, 3, 3], [-1, 4, -1]]
    assert lengths.tolist() == [2, 4, 3]
    assert [s.tolist() for s in packing.unpack_sequence(packed)] == [s.tolist() for s in sequences]


def test_a_gradient_passes_through_packing_and_padding_to_what_is_not_padding(device):
    x = tensor_of(np.ones((3, 2)), device)
    padded, _ = packing.pad_packed_sequence(packing.pack_padded_sequence(x, [3, 1]))
    (padded * padded).sum().backward()
    assert x.grad.tolist() == [[2, 2], [2, 0], [2, 0]]


def test_a_packed_sequence_moves_as_a_whole(device):
    packed = packing.pack_sequence([rg.ones(1), rg.ones(3)], enforce_sorted=False)
    moved = packed.to(device)
    assert moved.data.device == moved.sorted_indices.device == moved.unsorted_indices.device == device
    assert moved.batch_sizes.device.type == "cpu"
    assert moved.cpu().data.device.type == "cpu"
    assert packed.to("cpu") is packed
    assert packed.double().data.dtype == rg.float64


def test_padding_goes_to_the_side_that_was_asked_for(device):
    sequences = [tensor_of(np.ones(n), device) for n in (1, 3)]
    left = packing.pad_sequence(sequences, batch_first=True, padding_value=7, padding_side="left")
    assert left.tolist() == [[7, 7, 1], [1, 1, 1]]


# ---- mistakes


def lstm(**options):
    return nn.LSTM(3, 4, **options)


MISTAKES = {
    "an input of another width": (lambda: lstm()(rg.ones(5, 2, 7)), RuntimeError, "Expected 3, got 7"),
    "an input of another dtype": (lambda: lstm()(rg.ones(5, 2, 3, dtype=rg.float64)), ValueError, "float64"),
    "a batch of batches": (lambda: lstm()(rg.ones(5, 2, 3, 1)), ValueError, "2D or 3D"),
    "no steps": (lambda: lstm()(rg.ones(0, 2, 3)), RuntimeError, "larger than 0"),
    "a state of another batch": (
        lambda: lstm()(rg.ones(5, 2, 3), (rg.ones(1, 3, 4), rg.ones(1, 2, 4))), RuntimeError, r"\(1, 2, 4\), got \(1, 3"
    ),
    "a cell state of another width": (
        lambda: lstm()(rg.ones(5, 2, 3), (rg.ones(1, 2, 4), rg.ones(1, 2, 5))), RuntimeError, "expected c"
    ),
    "an unbatched state": (lambda: nn.GRU(3, 4)(rg.ones(5, 2, 3), rg.ones(1, 4)), RuntimeError, "needs states of 3"),
    "a state of another dtype": (
        lambda: nn.GRU(3, 4)(rg.ones(5, 2, 3), rg.ones(1, 2, 4, dtype=rg.float64)), RuntimeError, "same dtype"
    ),
    "one state for an LSTM": (lambda: lstm()(rg.ones(5, 2, 3), rg.ones(1, 2, 4)), RuntimeError, r"pair \(h, c\)"),
    "two states for a GRU": (
        lambda: nn.GRU(3, 4)(rg.ones(5, 2, 3), (rg.ones(1, 2, 4), rg.ones(1, 2, 4))), RuntimeError, "h alone"
    ),
    "one state for an LSTM cell": (
        lambda: nn.LSTMCell(3, 4)(rg.ones(2, 3), rg.ones(2, 4)), RuntimeError, r"pair \(h, c\)"
    ),
    "batch sizes that grow": (
        lambda: lstm()(packing.PackedSequence(rg.ones(3, 3), rg.tensor([1, 2]))), RuntimeError, "must not grow"
    ),
    "batch sizes of more rows than there are": (
        lambda: lstm()(packing.PackedSequence(rg.ones(3, 3), rg.tensor([2, 2]))), RuntimeError, "number of rows"
    ),
    "an unknown nonlinearity": (lambda: nn.RNN(3, 4, nonlinearity="swish"), ValueError, "'tanh' or 'relu'"),
    "an unknown nonlinearity of a cell": (
        lambda: nn.RNNCell(3, 4, nonlinearity="swish")(rg.ones(2, 3)), RuntimeError, "'tanh' or 'relu'"
    ),
    "a projection as wide as the state": (lambda: lstm(proj_size=4), ValueError, "proj_size"),
    "a dropout beyond one": (lambda: lstm(dropout=1.5), ValueError, "range"),
    "no units": (lambda: nn.GRU(3, 0), ValueError, "hidden_size"),
    "a width that is no integer": (lambda: nn.GRU(3.0, 4), TypeError, "input_size"),
    "an unknown mode": (lambda: nn.RNNBase("QRNN", 3, 4), ValueError, "QRNN"),
    "a cell's input of another width": (lambda: nn.GRUCell(3, 4)(rg.ones(2, 5)), RuntimeError, "got 5, expected 3"),
    "a cell's state of another batch": (
        lambda: nn.GRUCell(3, 4)(rg.ones(2, 3), rg.ones(3, 4)), RuntimeError, r"\(2, 4\), got \(3, 4\)"
    ),
    "lengths that do not fall": (
        lambda: packing.pack_padded_sequence(rg.ones(3, 2), [1, 3]), RuntimeError, "enforce_sorted=False"
    ),
    "a length of zero": (lambda: packing.pack_padded_sequence(rg.ones(3, 2), [3, 0]), RuntimeError, "greater than 0"),
    "too few lengths": (lambda: packing.pack_padded_sequence(rg.ones(3, 2), [3]), RuntimeError, "1 lengths"),
    "a length beyond the end": (lambda: packing.pack_padded_sequence(rg.ones(3, 2), [4, 1]), RuntimeError, "exceeds"),
    "nothing to pack": (lambda: packing.pack_padded_sequence(rg.ones(3, 0), []), RuntimeError, "empty"),
    "lengths in a matrix": (
        lambda: packing.pack_padded_sequence(rg.ones(3, 2), rg.tensor([[3, 1]])), RuntimeError, "1D CPU"
    ),
    "a total that is too short": (
        lambda: packing.pad_packed_sequence(packing.pack_sequence([rg.ones(3)]), total_length=2), ValueError, "longest"
    ),
    "an unknown side": (lambda: packing.pad_sequence([rg.ones(2)], padding_side="top"), RuntimeError, "'left'"),
    "no sequences": (lambda: packing.pad_sequence([]), RuntimeError, "empty"),
    "sequences of other widths": (
        lambda: packing.pad_sequence([rg.ones(2, 3), rg.ones(2, 4)]), RuntimeError, r"\(2, 3\) and \(2, 4\)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_clearly(mistake):
    action, kind, words = MISTAKES[mistake]
    with raises_clearly(kind, words):
        action()


def test_lengths_and_batch_sizes_must_be_on_the_host(device):
    if device.type == "cpu":
        pytest.skip("needs a device that is not the host")
    lengths = rg.tensor([2, 1], device=device)
    with raises_clearly(RuntimeError, r"lengths\.cpu\(\)"):
        packing.pack_padded_sequence(rg.ones(2, 2, device=device), lengths)
    with raises_clearly(ValueError, "on the CPU"):
        packing.PackedSequence(rg.ones(3, device=device), lengths)
