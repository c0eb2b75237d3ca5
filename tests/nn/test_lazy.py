"""Lazy layers: parameters without a shape, and what the first input makes of them."""

import copy
import pickle

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from tests.data.errors import raises_clearly

LAYERS = [
    (lambda: nn.LazyLinear(4), (2, 3)),
    (lambda: nn.LazyBatchNorm1d(), (5, 3)),
    (lambda: nn.LazyBatchNorm2d(), (5, 3, 2, 2)),
    (lambda: nn.LazyBatchNorm3d(), (5, 3, 2, 2, 2)),
    (lambda: nn.LazyInstanceNorm1d(), (5, 3, 4)),
    (lambda: nn.LazyInstanceNorm2d(), (5, 3, 4, 2)),
    (lambda: nn.LazyInstanceNorm3d(), (5, 3, 4, 2, 2)),
    (lambda: nn.LazyConv1d(4, 3, groups=2), (2, 2, 5)),
    (lambda: nn.LazyConv2d(4, 3, bias=False), (2, 3, 5, 5)),
    (lambda: nn.LazyConv3d(4, 2), (3, 3, 3, 3)),
    (lambda: nn.LazyConvTranspose1d(4, 3), (2, 2, 5)),
    (lambda: nn.LazyConvTranspose2d(4, 3, stride=2), (2, 3, 4, 4)),
    (lambda: nn.LazyConvTranspose3d(4, 2), (1, 3, 3, 3, 3)),
]


@pytest.mark.parametrize(("make", "shape"), LAYERS, ids=lambda v: None if isinstance(v, tuple) else type(v()).__name__)
class TestEveryLazyLayer:
    def test_the_first_input_gives_it_its_shapes_and_makes_it_ordinary(self, device, make, shape):
        layer = make().to(device)
        lazy = type(layer)
        out = layer(rg.randn(*shape, device=device))
        assert type(layer) is lazy.cls_to_become
        assert out.device == device
        assert not layer.has_uninitialized_params() if hasattr(layer, "has_uninitialized_params") else True
        assert all(type(p) is nn.Parameter and p.device == device for p in layer.parameters())
        assert all(type(b) is rg.Tensor and b.device == device for b in layer.buffers())

    def test_it_can_be_moved_converted_and_copied_before(self, device, make, shape):
        layer = copy.deepcopy(make().double()).to(device)
        layer(rg.randn(*shape, device=device, dtype=rg.float64)).sum().backward()
        assert {str(p.dtype) for p in layer.parameters()} == {"float64"}
        assert all(p.grad is not None for p in layer.parameters())

    def test_a_state_loaded_before_the_first_input_gives_the_shapes(self, device, make, shape):
        x = rg.randn(*shape)
        full = make()
        full(x)
        layer = make()
        layer.load_state_dict(full.state_dict())
        np.testing.assert_array_equal(layer.eval()(x).detach().numpy(), full.eval()(x).detach().numpy())
        assert repr(layer) == repr(full)


class TestUninitialized:
    def test_it_has_no_shape_and_cannot_be_computed_with(self):
        p = nn.UninitializedParameter()
        assert repr(p) == "<UninitializedParameter>"
        with raises_clearly(RuntimeError, "Can't access the shape"):
            _ = p.shape
        with raises_clearly(ValueError, "it has no values yet"):
            _ = p * 2

    def test_it_becomes_a_parameter_in_place(self):
        p = nn.UninitializedParameter(dtype=rg.float64)
        p.materialize((2, 3))
        assert type(p) is nn.Parameter
        assert (p.shape, p.dtype, p.requires_grad, p.is_leaf) == ((2, 3), rg.float64, True, True)

    def test_frozen_it_stays_frozen(self):
        p = nn.UninitializedParameter()
        p.requires_grad = False
        p.materialize((2,))
        assert not p.requires_grad

    def test_a_buffer_becomes_a_tensor(self):
        b = nn.UninitializedBuffer()
        b.materialize((2,))
        assert type(b) is rg.Tensor
        assert not b.requires_grad

    def test_it_survives_pickling(self):
        p = pickle.loads(pickle.dumps(nn.UninitializedParameter(False, dtype=rg.float16)))
        assert (type(p), p.requires_grad, p.dtype) == (nn.UninitializedParameter, False, rg.float16)


def test_a_lazy_module_must_say_how_it_is_initialised():
    class Nothing(nn.LazyModuleMixin):
        def forward(self, x):
            return x

    with raises_clearly(NotImplementedError, "initialize_parameters is not implemented for Nothing"):
        Nothing()(rg.ones(2))


def test_a_lazy_module_that_stays_uninitialised_is_named():
    class Half(nn.LazyModuleMixin):
        def __init__(self):
            super().__init__()
            self.weight = nn.UninitializedParameter()

        def initialize_parameters(self, x):
            pass

    with raises_clearly(RuntimeError, "Half has not been fully initialized"):
        Half()(rg.ones(2))


def test_a_lazy_convolution_refuses_channels_that_its_groups_do_not_divide():
    with raises_clearly(ValueError, "in_channels=3 must be divisible by groups=2"):
        nn.LazyConv1d(4, 3, groups=2)(rg.ones(2, 3, 5))
    with raises_clearly(RuntimeError, r"3D \(unbatched\) or 4D \(batched\)"):
        nn.LazyConv2d(4, 3)(rg.ones(2, 3))


def test_the_wrong_rank_is_refused_before_anything_is_shaped():
    layer = nn.LazyBatchNorm2d()
    with raises_clearly(ValueError, "expected 4D input"):
        layer(rg.ones(2, 3))
    assert layer.has_uninitialized_params()
