"""Jacobians, Hessians, their products and the transforms of `rg.func` against PyTorch: values, forms, exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

Call = Callable[[Any], Any]
VALUES = np.random.default_rng(0).normal(size=(2, 3))


def x_of(m: Any, **options: Any) -> Any:
    return m.tensor(VALUES.tolist(), dtype=m.float64, **options)


def y_of(m: Any, **options: Any) -> Any:
    return m.tensor(VALUES[0].tolist(), dtype=m.float64, **options)


def scalar_of(x: Any, y: Any) -> Any:
    return (x * y).sin().sum() * (y * y).sum()


def several(x: Any, y: Any) -> Any:
    return x.sin() * y, (x * x).sum(1)


def as_nest(result: Any) -> Any:
    """Tensors as arrays; containers as they are."""
    if isinstance(result, dict):
        return {key: as_nest(value) for key, value in result.items()}
    if isinstance(result, (tuple, list)):
        return type(result)(as_nest(value) for value in result)
    return np.asarray(result.detach().numpy()) if hasattr(result, "detach") else result


def assert_same(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        ours, theirs = tuple(ours.values()), tuple(theirs.values())
    if isinstance(ours, (tuple, list)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert_same(a, b)
    elif isinstance(ours, np.ndarray):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)
    else:
        assert ours == theirs


FUNCTIONAL: dict[str, Call] = {
    "jacobian": lambda m: m.autograd.functional.jacobian(lambda x: x.sin(), x_of(m)),
    "jacobian of several inputs": lambda m: m.autograd.functional.jacobian(lambda x, y: x * y, (x_of(m), y_of(m))),
    "jacobian of several outputs": lambda m: m.autograd.functional.jacobian(several, (x_of(m), y_of(m))),
    "jacobian of one input in a tuple": lambda m: m.autograd.functional.jacobian(lambda x: (x.exp(),), (x_of(m),)),
    "jacobian of a number": lambda m: m.autograd.functional.jacobian(lambda x: x.sum(), x_of(m)),
    "jacobian of an unused input": lambda m: m.autograd.functional.jacobian(lambda x, y: x * 2, (x_of(m), y_of(m))),
    "jacobian of a constant": lambda m: m.autograd.functional.jacobian(lambda x: m.ones(2, dtype=x.dtype), x_of(m)),
    "jacobian of float32": lambda m: m.autograd.functional.jacobian(lambda x: x.float().square(), x_of(m)),
    "hessian": lambda m: m.autograd.functional.hessian(lambda x: x.sin().sum() ** 2, x_of(m)),
    "hessian of several inputs": lambda m: m.autograd.functional.hessian(scalar_of, (x_of(m), y_of(m))),
    "hessian of a linear function": lambda m: m.autograd.functional.hessian(lambda x: x.sum(), x_of(m)),
    "hessian of one element": lambda m: m.autograd.functional.hessian(lambda x: (x**3).sum().reshape(1), y_of(m)),
    "vjp": lambda m: m.autograd.functional.vjp(lambda x: x.exp(), x_of(m), x_of(m)),
    "vjp of a number": lambda m: m.autograd.functional.vjp(lambda x: x.exp().sum(), x_of(m)),
    "vjp of several": lambda m: m.autograd.functional.vjp(
        several, (x_of(m), y_of(m)), (x_of(m), m.ones(2, dtype=m.float64))
    ),
    "jvp": lambda m: m.autograd.functional.jvp(lambda x: x.exp().sum(1), x_of(m), x_of(m)),
    "jvp of several": lambda m: m.autograd.functional.jvp(several, (x_of(m), y_of(m)), (x_of(m), y_of(m))),
    "jvp of an unused input": lambda m: m.autograd.functional.jvp(
        lambda x, y: x * 2, (x_of(m), y_of(m)), (x_of(m), y_of(m))
    ),
    "jvp at a number": lambda m: m.autograd.functional.jvp(lambda x: x * x, m.tensor(3.0)),
    "hvp": lambda m: m.autograd.functional.hvp(lambda x: x.sin().sum() ** 2, x_of(m), x_of(m)),
    "hvp of several": lambda m: m.autograd.functional.hvp(scalar_of, (x_of(m), y_of(m)), (x_of(m), y_of(m))),
    "hvp of a linear function": lambda m: m.autograd.functional.hvp(lambda x: x.sum(), x_of(m), x_of(m)),
    "vhp": lambda m: m.autograd.functional.vhp(lambda x: x.sin().sum() ** 2, x_of(m), x_of(m)),
    "vhp of several": lambda m: m.autograd.functional.vhp(scalar_of, (x_of(m), y_of(m)), (x_of(m), y_of(m))),
    "vhp of an unused input": lambda m: m.autograd.functional.vhp(
        lambda x, y: (x**3).sum(), (x_of(m), y_of(m)), (x_of(m), y_of(m))
    ),
    "no graph by default": lambda m: (
        m.autograd.functional.jacobian(lambda x: x * x, y_of(m, requires_grad=True)).requires_grad,
        m.autograd.functional.vjp(lambda x: x * x, y_of(m, requires_grad=True), y_of(m))[0].requires_grad,
    ),
    "a graph on request": lambda m: (
        m.autograd.functional.jacobian(lambda x: x * x, y_of(m), create_graph=True).requires_grad,
        m.autograd.functional.vjp(lambda x: x * x, y_of(m), y_of(m), create_graph=True)[1].requires_grad,
    ),
}


@pytest.mark.parametrize("call", FUNCTIONAL.values(), ids=FUNCTIONAL.keys())
def test_functional_returns_what_pytorch_returns(call: Call) -> None:
    assert_same(as_nest(call(rg)), as_nest(call(torch)))


def gradient_of(m: Any, function: Callable[[Any, Any], Any]) -> Any:
    """Gradients, by x and y, of the sum of squares of everything that a function of them returns."""
    x, y = x_of(m, requires_grad=True), y_of(m, requires_grad=True)

    def total(result: Any) -> Any:
        return sum(map(total, result)) if isinstance(result, tuple) else (result * result).sum()

    return m.autograd.grad(total(function(x, y)), (x, y), allow_unused=True)


RECORDED: dict[str, Callable[[Any], Callable[[Any, Any], Any]]] = {
    "jacobian": lambda m: lambda x, y: m.autograd.functional.jacobian(several, (x, y), create_graph=True),
    "hessian": lambda m: lambda x, y: m.autograd.functional.hessian(scalar_of, (x, y), create_graph=True),
    "vjp": lambda m: lambda x, y: m.autograd.functional.vjp(lambda x: x * x * y, x, x * 2, create_graph=True),
    "jvp": lambda m: lambda x, y: m.autograd.functional.jvp(lambda x: x * x * y, x, x * 2, create_graph=True),
    "vhp": lambda m: lambda x, y: m.autograd.functional.vhp(scalar_of, (x, y), (x * 2, y * y), create_graph=True),
    "hvp": lambda m: lambda x, y: m.autograd.functional.hvp(scalar_of, (x, y), (x * 2, y * y), create_graph=True),
}


@pytest.mark.parametrize("make", RECORDED.values(), ids=RECORDED.keys())
def test_what_functional_returns_can_be_differentiated_as_in_pytorch(make: Callable[[Any], Any]) -> None:
    assert_same(as_nest(gradient_of(rg, make(rg))), as_nest(gradient_of(torch, make(torch))))


MISTAKES: dict[str, Call] = {
    "no Tensor": lambda m: m.autograd.functional.jacobian(lambda x: x, 1.0),
    "no Tensor inside": lambda m: m.autograd.functional.jacobian(lambda x, y: x, (y_of(m), 1.0)),
    "no Tensor returned": lambda m: m.autograd.functional.jacobian(lambda x: 1.0, y_of(m)),
    "v of another shape": lambda m: m.autograd.functional.vjp(lambda x: x * 2, x_of(m), y_of(m)),
    "v of another length": lambda m: m.autograd.functional.vjp(lambda x: x * 2, x_of(m), (y_of(m), y_of(m))),
    "no v": lambda m: m.autograd.functional.vjp(lambda x: x * 2, x_of(m)),
    "no v for jvp": lambda m: m.autograd.functional.jvp(lambda x: x * 2, x_of(m)),
    "a vector's hessian": lambda m: m.autograd.functional.hessian(lambda x: x * x, x_of(m)),
    "a tuple's hessian": lambda m: m.autograd.functional.hessian(lambda x: (x.sum(), x.sum()), x_of(m)),
    "a vector's hvp": lambda m: m.autograd.functional.hvp(lambda x: x * x, x_of(m), x_of(m)),
    "unused input, strict": lambda m: m.autograd.functional.jacobian(
        lambda x, y: x * 2, (x_of(m), y_of(m)), strict=True
    ),
    "constant, strict": lambda m: m.autograd.functional.jacobian(lambda x: m.ones(1), x_of(m), strict=True),
    "constant vjp, strict": lambda m: m.autograd.functional.vjp(lambda x: m.ones(()), x_of(m), strict=True),
    "unused input of jvp, strict": lambda m: m.autograd.functional.jvp(
        lambda x, y: x * 2, (x_of(m), y_of(m)), (x_of(m), y_of(m)), strict=True
    ),
    "linear, strict with a graph": lambda m: m.autograd.functional.jacobian(
        lambda x: x + 1, x_of(m), strict=True, create_graph=True
    ),
    "linear hessian, strict": lambda m: m.autograd.functional.hessian(lambda x: x.sum(), x_of(m), strict=True),
    "unused input of vhp, strict": lambda m: m.autograd.functional.vhp(
        lambda x, y: (x**3).sum(), (x_of(m), y_of(m)), (x_of(m), y_of(m)), strict=True
    ),
    "an unknown strategy": lambda m: m.autograd.functional.jacobian(lambda x: x, x_of(m), strategy="sideways"),
    "grad of a vector": lambda m: m.func.grad(lambda x: x * 2)(x_of(m)),
    "grad of integers": lambda m: m.func.grad(lambda x: x.sum())(m.ones(2, dtype=m.int64)),
    "grad of no Tensor": lambda m: m.func.grad(lambda x: x * 2)(1.0),
    "vjp of no Tensor": lambda m: m.func.vjp(lambda x: x * 2, 1.0),
    "jvp of no Tensor": lambda m: m.func.jvp(lambda x: x * 2, (1.0,), (1.0,)),
    "jvp of integers": lambda m: m.func.jvp(lambda x: x.sum(), (m.ones(2, dtype=m.int64),), (m.ones(2),)),
    "jacrev of integers": lambda m: m.func.jacrev(lambda x: x * 2)(m.ones(2, dtype=m.int64)),
    "jvp of a constant, strict": lambda m: m.func.jvp(lambda x: m.ones(2), (x_of(m),), (x_of(m),), strict=True),
    "grad of a number returned": lambda m: m.func.grad(lambda x: 2.0)(x_of(m)),
    "grad by a missing argument": lambda m: m.func.grad(lambda x: x.sum(), argnums=1)(x_of(m)),
    "grad by an argument twice": lambda m: m.func.grad(lambda x: x.sum(), argnums=(0, 0))(x_of(m)),
    "grad without aux": lambda m: m.func.grad(lambda x: x.sum(), has_aux=True)(x_of(m)),
    "vjp with a wrong form": lambda m: m.func.vjp(lambda x: (x, x), x_of(m))[1](x_of(m)),
    "vjp with a wrong shape": lambda m: m.func.vjp(lambda x: x * 2, x_of(m))[1](y_of(m)),
    "jvp without a tuple": lambda m: m.func.jvp(lambda x: x * 2, x_of(m), x_of(m)),
    "jvp with a wrong form": lambda m: m.func.jvp(lambda x: x * 2, (x_of(m),), (x_of(m), x_of(m))),
    "jvp with a wrong shape": lambda m: m.func.jvp(lambda x: x * 2, (x_of(m),), (y_of(m),)),
    "jacrev of a number": lambda m: m.func.jacrev(lambda x: 2.0)(x_of(m)),
    "vmap over nothing": lambda m: m.vmap(lambda x: x)(),
    "vmap over None": lambda m: m.vmap(lambda x: x, in_dims=None)(x_of(m)),
    "vmap over a number": lambda m: m.vmap(lambda x, y: x)(x_of(m), 2.0),
    "vmap over unequal sizes": lambda m: m.vmap(lambda x, y: x)(x_of(m), y_of(m)),
    "vmap over a missing dimension": lambda m: m.vmap(lambda x: x, in_dims=2)(x_of(m)),
    "vmap over a 0-d": lambda m: m.vmap(lambda x: x)(m.tensor(1.0)),
    "vmap with wrong in_dims": lambda m: m.vmap(lambda x: x, in_dims=(0, 0))(x_of(m)),
    "vmap with wrong out_dims": lambda m: m.vmap(lambda x: x, out_dims=(0, 0))(x_of(m)),
    "vmap into a missing dimension": lambda m: m.vmap(lambda x: x, out_dims=3)(x_of(m)),
    "vmap that returns a number": lambda m: m.vmap(lambda x: 1.0)(x_of(m)),
    "vmap that draws": lambda m: m.vmap(lambda x: x + m.randn(3))(x_of(m)),
    "vmap with unknown randomness": lambda m: m.vmap(lambda x: x, randomness="some")(x_of(m)),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_raise_what_pytorch_raises(mistake: Call) -> None:
    assert_same_kind(raised_by(mistake, rg), raised_by(mistake, torch))


def parameters(m: Any) -> dict[str, Any]:
    return {"w": x_of(m), "b": y_of(m)[:2]}


def loss(p: dict[str, Any], x: Any) -> Any:
    return ((p["w"] @ x + p["b"]) ** 2).sum()


FUNC: dict[str, Call] = {
    "grad": lambda m: m.func.grad(lambda x: x.sin().sum())(x_of(m)),
    "grad of grad": lambda m: m.func.grad(m.func.grad(lambda x: x**3))(m.tensor(2.0, dtype=m.float64)),
    "fourth derivative": lambda m: m.func.grad(m.func.grad(m.func.grad(m.func.grad(lambda x: x.sin()))))(
        m.tensor(0.5, dtype=m.float64)
    ),
    "grad by a dict": lambda m: m.func.grad(loss)(parameters(m), y_of(m)),
    "grad by two": lambda m: m.func.grad(loss, argnums=(1, 0))(parameters(m), y_of(m)),
    "grad by the last": lambda m: m.func.grad(loss, argnums=-1)(parameters(m), y_of(m)),
    "grad with aux": lambda m: m.func.grad(lambda x: (x.sum(), {"double": x * 2}), has_aux=True)(x_of(m)),
    "grad and value": lambda m: m.func.grad_and_value(lambda x: x.exp().sum())(x_of(m)),
    "grad and value with aux": lambda m: m.func.grad_and_value(lambda x: (x.exp().sum(), [x]), has_aux=True)(x_of(m)),
    "grad of an unused input": lambda m: m.func.grad(lambda x, y: x.sum(), argnums=(0, 1))(x_of(m), y_of(m)),
    "grad of a constant": lambda m: m.func.grad(lambda x: m.tensor(1.0, dtype=m.float64))(x_of(m)),
    "grad of a detached input": lambda m: m.func.grad(lambda x: x.detach().sum())(x_of(m)),
    "grad within no_grad inside": lambda m: m.func.grad(lambda x: (x * constant(m, x)).sum())(x_of(m)),
    "grad with in-place": lambda m: m.func.grad(lambda x: x.clone().mul_(3).sum() + x.clone().sin_().sum())(x_of(m)),
    "grad with keywords": lambda m: m.func.grad(lambda x, power: (x**power).sum())(x_of(m), power=3),
    "closures": lambda m: m.func.grad(lambda x: x * m.func.grad(lambda y: x * x * y * y)(x))(
        m.tensor(2.0, dtype=m.float64)
    ),
    "perturbation confusion": lambda m: m.func.grad(lambda x: x * m.func.grad(lambda y: x + y)(x))(
        m.tensor(1.0, dtype=m.float64)
    ),
    "vjp": lambda m: (lambda out, pull: (out, pull(x_of(m)), pull(x_of(m))))(*m.func.vjp(lambda x: x.sin(), x_of(m))),
    "vjp of several": lambda m: m.func.vjp(several, x_of(m), y_of(m))[1]((x_of(m), m.ones(2, dtype=m.float64))),
    "vjp with aux": lambda m: m.func.vjp(lambda x: (x * 2, x), x_of(m), has_aux=True)[2],
    "grad of vjp": lambda m: m.func.grad(lambda x: m.func.vjp(lambda y: y**3, x)[1](x)[0].sum())(x_of(m)),
    "jvp": lambda m: m.func.jvp(lambda x: x.sin(), (x_of(m),), (x_of(m),)),
    "jvp of several": lambda m: m.func.jvp(several, (x_of(m), y_of(m)), (x_of(m), y_of(m))),
    "jvp of jvp": lambda m: m.func.jvp(
        lambda x: m.func.jvp(lambda y: y**3, (x,), (x_of(m),))[1], (x_of(m),), (x_of(m),)
    ),
    "jvp of grad": lambda m: m.func.jvp(m.func.grad(lambda x: (x**4).sum()), (x_of(m),), (x_of(m),)),
    "jacrev": lambda m: m.func.jacrev(lambda x: x.sin() * x.sum())(x_of(m)),
    "jacrev of several": lambda m: m.func.jacrev(several, argnums=(0, 1))(x_of(m), y_of(m)),
    "jacrev of a dict": lambda m: m.func.jacrev(lambda p: {"out": p["w"] @ p["w"].T})(parameters(m)),
    "jacrev with aux": lambda m: m.func.jacrev(lambda x: (x * x, x.sum()), has_aux=True)(x_of(m)),
    "jacfwd": lambda m: m.func.jacfwd(lambda x: x.sin() * x.sum())(x_of(m)),
    "jacfwd of several": lambda m: m.func.jacfwd(several, argnums=(0, 1))(x_of(m), y_of(m)),
    "jacfwd of jacrev": lambda m: m.func.jacfwd(m.func.jacrev(lambda x: (x**3).sum()))(y_of(m)),
    "jacrev of jacfwd": lambda m: m.func.jacrev(m.func.jacfwd(lambda x: x**3))(y_of(m)),
    "hessian": lambda m: m.func.hessian(lambda x: x.sin().sum() ** 2)(x_of(m)),
    "hessian of a vector": lambda m: m.func.hessian(lambda x: x**3)(y_of(m)),
    "hessian by two": lambda m: m.func.hessian(scalar_of, argnums=(0, 1))(x_of(m), y_of(m)),
    "vmap": lambda m: m.vmap(lambda x, y: (x * y).sum())(x_of(m), x_of(m)),
    "vmap over columns": lambda m: m.vmap(lambda x: x.sum(), in_dims=1)(x_of(m)),
    "vmap over the last": lambda m: m.vmap(lambda x: x * 2, in_dims=-1, out_dims=-1)(x_of(m)),
    "vmap with a shared argument": lambda m: m.vmap(lambda x, y: x * y, in_dims=(0, None))(x_of(m), y_of(m)),
    "vmap with a number": lambda m: m.vmap(lambda x, y: x * y, in_dims=(0, None))(x_of(m), 2.0),
    "vmap over a dict": lambda m: m.vmap(lambda p, x: p["w"] @ x + p["b"], in_dims=({"w": None, "b": 0}, None))(
        parameters(m), y_of(m)
    ),
    "vmap over nests": lambda m: m.vmap(lambda pair: {"sum": pair[0] + pair[1], "list": [pair[0]]})((x_of(m), x_of(m))),
    "vmap out_dims": lambda m: m.vmap(lambda x: (x * 2, x.outer(x)), out_dims=(1, 2))(x_of(m)),
    "vmap of vmap": lambda m: m.vmap(m.vmap(lambda x, y: x * y, in_dims=(0, None)), in_dims=(None, 0))(
        y_of(m), y_of(m)
    ),
    "vmap of grad": lambda m: m.vmap(m.func.grad(lambda x: x.sin().sum()))(x_of(m)),
    "grad of vmap": lambda m: m.func.grad(lambda x: m.vmap(lambda row: (row**3).sum())(x).sum())(x_of(m)),
    "per-sample gradients": lambda m: m.vmap(m.func.grad(loss), in_dims=(None, 0))(parameters(m), x_of(m)),
    "vmap with keywords": lambda m: m.vmap(lambda x, *, y: x + y)(x_of(m), y=y_of(m).sum()),
}


def constant(m: Any, x: Any) -> Any:
    with m.no_grad():
        return x * x


@pytest.mark.parametrize("call", FUNC.values(), ids=FUNC.keys())
def test_transforms_return_what_pytorchs_return(call: Call) -> None:
    assert_same(as_nest(call(rg)), as_nest(call(torch)))


def test_transforms_reach_parameters_outside_as_in_pytorch() -> None:
    def reached(m: Any) -> Any:
        w = y_of(m, requires_grad=True)
        inner = m.func.grad(lambda x: (x * w).sin().sum())(y_of(m))
        return inner, m.autograd.grad((inner * inner).sum(), w)

    assert_same(as_nest(reached(rg)), as_nest(reached(torch)))


def test_random_draws_inside_vmap_are_the_same_or_different_as_asked() -> None:
    x = rg.zeros(3, 2)
    same = rg.func.vmap(lambda row: row + rg.randn(2), randomness="same")(x).numpy()
    different = rg.func.vmap(lambda row: row + rg.randn(2), randomness="different")(x).numpy()
    assert (same == same[0]).all()
    assert (different[0] != different[1]).all()
