"""The table of a model: shapes, parameters, multiply–adds and bytes as they are when it runs."""

import threading

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, viz
from retrograd.autograd.primitive import REGISTRY
from retrograd.viz import flops
from tests.data.errors import raises_clearly


def net():
    return nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Sequential(nn.Linear(20, 20), nn.Tanh()), nn.Linear(20, 3))


def test_each_layer_has_its_shape_its_parameters_and_its_multiply_adds(device):
    table = viz.summary(net().to(device), (5, 10))
    assert [row.path for row in table.rows] == ["", "0", "1", "2", "2.0", "2.1", "3"]
    assert [row.shapes for row in table.rows] == [[(5, n)] for n in (3, 20, 20, 20, 20, 20, 3)]
    assert [row.parameters for row in table.rows] == [703, 220, 0, 420, 420, 0, 63]
    assert [row.multiply_adds for row in table.rows] == [3300, 1000, 0, 2000, 2000, 0, 300]
    assert table.total.flops == 2 * 3300 + 2 * 100
    assert table["2"].activations == 2 * 5 * 20 * 4
    assert table.total.activations == 4 * 5 * (4 * 20 + 3)


def test_frozen_and_shared_parameters_are_told_apart_and_counted_once():
    model = net()
    model[0].requires_grad_(False)
    model[3] = model[2][0]
    table = viz.summary(model, (1, 10))
    assert table.total.parameters == 640
    assert table.total.trainable == 420
    assert "trainable 420, frozen 220" in str(table)
    assert table["2.0"].calls == 2


def test_the_text_shows_the_levels_that_were_asked_for():
    text = str(viz.summary(net(), (1, 10), depth=1))
    assert "3: Linear" in text
    assert "0: Tanh" not in text
    assert "    0: Linear" in str(viz.summary(net(), (1, 10), depth=2))


def test_the_model_is_left_as_it_was():
    model = net()
    model[1].eval()
    kernels = REGISTRY["linear"].kernels
    viz.summary(model, (1, 10))
    assert [m.training for m in model.modules()] == [True, True, False, True, True, True, True]
    assert REGISTRY["linear"].kernels is REGISTRY["linear"].scope["kernels"] is kernels
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(RuntimeError, match="last dimension"):
        viz.summary(model, (1, 11))
    assert REGISTRY["linear"].kernels is REGISTRY["linear"].scope["kernels"] is kernels
    assert not model._hooks.before
    assert not model._hooks.after


def test_several_inputs_and_integers_can_be_given():
    class Two(nn.Module):
        def forward(self, x, indices):
            return x[indices], {"sum": x.sum()}

    table = viz.summary(Two(), [(4, 2), (3,)], dtypes=[rg.float64, rg.int64])
    assert table.total.shapes == [(3, 2), ()]
    assert viz.summary(Two(), inputs=(rg.zeros(4, 2), rg.tensor([0]))).total.shapes == [(1, 2), ()]


def test_a_layer_that_is_never_called_says_so():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, x):
            return x

    assert "not called" in str(viz.summary(Unused(), (1,)))


def test_bad_arguments_raise_one_clear_error():
    for arguments in ({}, {"input_size": (1,), "inputs": rg.zeros(1)}):
        with raises_clearly(ValueError, "give either input_size"):
            viz.summary(net(), **arguments)
    with raises_clearly(ValueError, "2 input sizes and 1 dtypes"):
        viz.summary(net(), [(1,), (2,)], dtypes=[rg.float32])
    with raises_clearly(KeyError, "no module 'head'"):
        viz.summary(net(), (1, 10))["head"]


# ---- multiply–adds


def counted(function):
    """Multiply–adds of a function, and its FLOPs."""
    totals = np.zeros(2, int)

    def note(*work):
        totals[:] += flops.multiply_adds(*work), flops.flops(*work)

    with flops.counting(note):
        function()
    return tuple(totals.tolist())


@pytest.mark.parametrize(
    ("function", "products", "others"),
    [
        (lambda r: r(3, 4) @ r(4, 5), 60, 0),
        (lambda r: r(7, 3, 4) @ r(4, 5), 420, 0),
        (lambda r: rg.bmm(r(2, 3, 4), r(2, 4, 5)), 120, 0),
        (lambda r: r(3, 4) @ r(4), 12, 0),
        (lambda r: r(4) @ r(4), 4, 0),
        (lambda r: rg.einsum("bij,bjk->bik", r(2, 3, 4), r(2, 4, 5)), 120, 0),
        (lambda r: nn.functional.linear(r(2, 3), r(5, 3)), 30, 0),
        (lambda r: r(3, 4).exp() + 1, 0, 24),
        (lambda r: r(3, 4).sum(), 0, 12),
        (lambda r: r(3, 4).T.reshape(12), 0, 0),
        (lambda r: rg.cat([r(3), r(3)]), 0, 0),
    ],
)
def test_multiply_adds_follow_the_formula_of_each_primitive(function, products, others, device):
    def rand(*shape):
        return tensors.setdefault((shape, len(tensors)), rg.ones(*shape, device=device))

    tensors = {}
    function(rand)
    assert counted(lambda: function(rand)) == (products, 2 * products + others)


def test_convolutions_count_each_filter_at_each_place():
    x = rg.zeros(2, 4, 9, 9)
    conv = nn.Conv2d(4, 6, 3, stride=2, groups=2)
    assert counted(lambda: conv(x))[0] == 2 * 6 * 4 * 4 * (2 * 9)
    transposed = nn.ConvTranspose2d(4, 6, 3, stride=2)
    assert counted(lambda: transposed(x))[0] == 2 * 4 * 81 * 6 * 9


def test_recurrent_layers_count_the_products_of_every_step():
    x = rg.zeros(7, 2, 5)  # 7 steps of 2
    for layer, gates in ((nn.RNN(5, 3), 1), (nn.LSTM(5, 3), 4), (nn.GRU(5, 3), 3)):
        assert counted(lambda layer=layer: layer(x))[0] == 7 * 2 * gates * 3 * (5 + 3)


def test_work_of_other_threads_is_not_counted():
    done = []

    def run():
        thread = threading.Thread(target=lambda: done.append(rg.ones(3, 3) @ rg.ones(3, 3)))
        thread.start()
        thread.join()

    assert counted(run) == (0, 0)
    assert done[0].tolist() == [[3.0] * 3] * 3


def test_every_name_in_the_lists_is_a_primitive():
    for name in flops.MOVING | flops.REDUCING | flops.PRODUCTS.keys():
        assert name in REGISTRY, name
