"""Transforms of functions: each agrees with the closed form, nests, and says what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import functional as F
from retrograd.autograd import gradcheck, ops
from retrograd.autograd.tree import flatten
from retrograd.backends import Device
from tests.autograd.factory import host, tensor_of

A = np.array([[1.0, 2.0, -1.0], [0.5, -3.0, 2.0]])
P = np.array([0.5, -1.0, 2.0])


def vector(*values: float, grad: bool = False) -> rg.Tensor:
    return rg.tensor(list(values), dtype=rg.float64, requires_grad=grad)


def quadratic(device: Device) -> tuple[Any, np.ndarray[Any, Any]]:
    """½ xᵀ M x − bᵀ x with its Hessian M."""
    m = A.T @ A + np.eye(3)
    M, b = tensor_of(m, device, gradient=False), tensor_of(P, device, gradient=False)
    return lambda x: 0.5 * rg.dot(x, M @ x) - rg.dot(b, x), m


# ---- autograd.functional


def test_the_jacobian_of_an_affine_map_is_its_matrix(device: Device) -> None:
    W, x = tensor_of(A, device, gradient=False), tensor_of(P, device)
    np.testing.assert_array_equal(host(F.jacobian(lambda x: W @ x + 1, x)), A)
    of_w = F.jacobian(lambda w: w @ x, W)
    assert of_w.shape == (2, 2, 3)
    np.testing.assert_array_equal(host(of_w), np.einsum("ij,k->ijk", np.eye(2), P))


def test_a_jacobian_has_the_form_of_its_outputs_and_inputs() -> None:
    x, y = vector(1.0, 2.0), vector(3.0)
    of_product, of_sum = F.jacobian(lambda x, y: (x * y, ops.sum(x)), (x, y))
    assert [j.tolist() for j in of_product] == [[[3, 0], [0, 3]], [[1], [2]]]
    assert [j.tolist() for j in of_sum] == [[1, 1], [0]]
    assert not of_product[0].requires_grad
    assert x.grad is None


def test_newton_reaches_the_minimum_of_a_quadratic_in_one_step(device: Device) -> None:
    f, m = quadratic(device)
    x = tensor_of(np.array([3.0, -4.0, 5.0]), device)
    (g,) = rg.autograd.grad(f(x), x)
    H = F.hessian(f, x)
    np.testing.assert_allclose(host(H), m, rtol=1e-12)
    minimum = x.detach() - rg.linalg.solve(H, g)
    np.testing.assert_allclose(host(minimum), np.linalg.solve(m, P), rtol=1e-10)


def test_products_are_those_with_the_matrices(device: Device) -> None:
    x, v = tensor_of(P, device), tensor_of(np.array([1.0, -2.0, 0.5]), device, gradient=False)
    u = tensor_of(np.array([2.0, -1.0]), device, gradient=False)
    W = tensor_of(A, device, gradient=False)

    def map_(x: rg.Tensor) -> rg.Tensor:
        return rg.tanh(W @ x)

    J = host(F.jacobian(map_, x))
    np.testing.assert_allclose(host(F.vjp(map_, x, u)[1]), host(u) @ J, rtol=1e-12)
    np.testing.assert_allclose(host(F.jvp(map_, x, v)[1]), J @ host(v), rtol=1e-12)

    def number(x: rg.Tensor) -> rg.Tensor:
        return ops.sum(map_(x) * map_(x))

    H = host(F.hessian(number, x))
    np.testing.assert_allclose(host(F.hvp(number, x, v)[1]), H @ host(v), rtol=1e-12)
    np.testing.assert_allclose(host(F.vhp(number, x, v)[1]), host(v) @ H, rtol=1e-12)
    assert not F.hvp(number, x, v)[1].requires_grad


@pytest.mark.parametrize("name", ["vjp", "jvp", "vhp", "hvp", "jacobian", "hessian"])
def test_with_create_graph_results_can_be_differentiated(name: str) -> None:
    def f(x: rg.Tensor) -> rg.Tensor:
        y = ops.exp(x) * x
        return y if name in ("vjp", "jvp", "jacobian") else ops.sum(y * y)

    def result(x: rg.Tensor) -> rg.Tensor:
        if name in ("jacobian", "hessian"):
            return getattr(F, name)(f, x, create_graph=True)
        return getattr(F, name)(f, x, vector(1.0, -2.0), create_graph=True)[1]

    assert gradcheck(result, (vector(0.3, -0.7, grad=True),))


def test_independent_inputs_give_zeros_or_in_strict_mode_an_error() -> None:
    x, y = vector(1.0), vector(2.0)
    assert [g.tolist() for g in F.vjp(lambda x, y: x * 2, (x, y))[1]] == [[2], [0]]
    with pytest.raises(RuntimeError, match="independent of input 1"):
        F.vjp(lambda x, y: x * 2, (x, y), strict=True)
    with pytest.raises(RuntimeError, match="Output 0 .* does not require gradients"):
        F.jacobian(lambda x: x.detach(), x, strict=True)
    with pytest.raises(RuntimeError, match="independent of input 0"):
        F.hessian(lambda x: ops.sum(x * 2), x, strict=True)


FUNCTIONAL_ERRORS = {
    "no vector for several elements": (RuntimeError, "v can only be None", lambda x: F.vjp(lambda x: x, x)),
    "a vector of another shape": (RuntimeError, "v has invalid size", lambda x: F.jvp(lambda x: x, x, rg.ones(3))),
    "too few vectors": (RuntimeError, "invalid length", lambda x: F.vjp(lambda x: (x, x), x, rg.ones(2))),
    "no Tensor as output": (TypeError, "outputs of the user-provided", lambda x: F.jacobian(lambda x: 3, x)),
    "no Tensor as input": (TypeError, "inputs given to jacobian", lambda x: F.jacobian(lambda x: x, 3)),
    "a Hessian of a vector": (RuntimeError, "single element", lambda x: F.hessian(lambda x: x * 2, x)),
    "vectorize": (NotImplementedError, "vectorize", lambda x: F.jacobian(lambda x: x, x, vectorize=True)),
}


@pytest.mark.parametrize("what", FUNCTIONAL_ERRORS)
def test_autograd_functional_says_what_does_not_fit(what: str) -> None:
    kind, message, call = FUNCTIONAL_ERRORS[what]
    with pytest.raises(kind, match=message):
        call(vector(1.0, 2.0))


# ---- func


def test_gradients_nest_to_the_fifth_order() -> None:
    f, value = (lambda x: ops.exp(x * 2)), rg.tensor(0.3, dtype=rg.float64)
    for order in range(6):
        np.testing.assert_allclose(f(value).item(), 2**order * np.exp(0.6), rtol=1e-12)
        assert not f(value).requires_grad
        f = rg.func.grad(f)


def test_a_gradient_takes_nests_several_arguments_and_auxiliary_output() -> None:
    x = vector(1.0, 2.0)
    g = rg.func.grad(lambda tree: ops.sum(tree["a"] * tree["b"][0]))({"a": x, "b": [x * 3, x]})
    assert g["a"].tolist() == [3, 6]
    assert [t.tolist() for t in g["b"]] == [[1, 2], [0, 0]]
    both, aux = rg.func.grad(lambda x, y: (ops.sum(x * y), x + y), argnums=(0, 1), has_aux=True)(x, x * 2)
    assert [t.tolist() for t in both] == [[2, 4], [1, 2]]
    assert aux.tolist() == [3, 6]
    assert not aux.requires_grad
    gradient, value = rg.func.grad_and_value(lambda x: ops.sum(x * x))(x)
    assert (gradient.tolist(), value.item()) == ([2, 4], 5)


def test_a_gradient_stays_connected_to_a_parameter_outside() -> None:
    w = rg.tensor(3.0, requires_grad=True)
    g = rg.func.grad(lambda x: w * x * x)(rg.tensor(2.0))
    g.backward()
    assert (g.item(), w.grad.item()) == (12, 4)
    x = rg.tensor(2.0, requires_grad=True)
    rg.func.grad(lambda x: x * x * x)(x).backward()
    assert x.grad.item() == 12
    with rg.no_grad():
        assert not rg.func.grad(lambda x: w * x * x)(x).requires_grad


def test_vjp_can_be_called_again_and_jvp_equals_the_jacobian_times_the_tangent() -> None:
    x, y = vector(1.0, 2.0), vector(3.0, 4.0)
    output, pull = rg.func.vjp(lambda x, y: {"p": x * y, "s": ops.sum(x)}, x, y)
    for scale in (1.0, 2.0):
        gx, gy = pull({"p": vector(scale, 0.0), "s": rg.tensor(scale, dtype=rg.float64)})
        assert (gx.tolist(), gy.tolist()) == ([4 * scale, scale], [scale, 0])
    assert not output["p"].requires_grad
    value, product = rg.func.jvp(lambda x, y: x * y, (x, y), (vector(1.0, 0.0), vector(0.0, 1.0)))
    assert (value.tolist(), product.tolist()) == ([3, 8], [3, 2])


def test_jacrev_and_jacfwd_agree_and_nest_into_the_hessian() -> None:
    def f(x: rg.Tensor, y: rg.Tensor) -> Any:
        return {"a": ops.sum(x * x) * y, "b": ops.exp(x)}

    x, y = vector(0.5, -1.0), vector(1.0, 2.0, 3.0)
    reverse, forward = rg.func.jacrev(f, (0, 1))(x, y), rg.func.jacfwd(f, (0, 1))(x, y)
    for key in ("a", "b"):
        for one, other in zip(reverse[key], forward[key], strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12)
    assert reverse["a"][1].shape == (3, 3)
    third = rg.func.jacfwd(rg.func.hessian(lambda x: ops.sum(x**4)))(x)
    np.testing.assert_allclose(third.numpy()[[0, 1], [0, 1], [0, 1]], 24 * x.numpy(), rtol=1e-12)


def test_per_sample_gradients_come_from_vmap_of_grad() -> None:
    w, x = vector(1.0, -2.0), rg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=rg.float64)
    per_sample = rg.func.vmap(rg.func.grad(lambda w, x: rg.dot(w, x) ** 2), in_dims=(None, 0))(w, x)
    wanted = 2 * (x.numpy() @ w.numpy())[:, None] * x.numpy()
    np.testing.assert_allclose(per_sample.numpy(), wanted, rtol=1e-12)


def test_vmap_runs_over_any_dimension_and_puts_the_new_one_anywhere() -> None:
    x = rg.tensor(np.arange(24.0).reshape(2, 3, 4))
    out = rg.func.vmap(lambda x: {"t": x.mT, "s": ops.sum(x)}, in_dims=1, out_dims={"t": -1, "s": 0})(x)
    np.testing.assert_array_equal(out["t"].numpy(), np.moveaxis(x.numpy(), 1, 0).mT.transpose(1, 2, 0))
    np.testing.assert_array_equal(out["s"].numpy(), x.numpy().sum((0, 2)))
    product = rg.func.vmap(lambda pair, k: pair[0] * pair[1] * k, in_dims=((0, None), None))((x, x[0]), 2)
    np.testing.assert_array_equal(product.numpy(), x.numpy() * x.numpy()[0] * 2)
    assert rg.func.vmap(lambda x: ops.sum(x))(rg.ones(0, 3)).shape == (0,)
    nested = rg.func.vmap(rg.func.vmap(rg.dot, in_dims=(None, 0)), in_dims=(0, None))(rg.eye(2), rg.ones(3, 2))
    np.testing.assert_array_equal(nested.numpy(), np.ones((2, 3)))


def test_vmap_is_differentiable_and_gives_shared_inputs_the_sum() -> None:
    x, w = vector(1.0, 2.0, 3.0, grad=True), rg.tensor(2.0, dtype=rg.float64, requires_grad=True)
    ops.sum(rg.func.vmap(lambda x, w: x * x * w, in_dims=(0, None))(x, w)).backward()
    assert (x.grad.tolist(), w.grad.item()) == ([4, 8, 12], 14)


def test_randomness_in_vmap_is_refused_repeated_or_allowed() -> None:
    x = rg.zeros(3)
    with pytest.raises(RuntimeError, match="randomness error mode"):
        rg.func.vmap(lambda x: x + rg.rand(()))(x)
    same = rg.func.vmap(lambda x: x + rg.rand(()), randomness="same")(x).tolist()
    different = rg.func.vmap(lambda x: x + rg.rand(()), randomness="different")(x).tolist()
    assert len(set(same)) == 1
    assert len(set(different)) == 3


FUNC_ERRORS = {
    "a vector": (RuntimeError, "scalar Tensor", lambda x: rg.func.grad(lambda x: x)(x)),
    "a number": (RuntimeError, "return a Tensor, got float", lambda x: rg.func.grad(lambda x: 3.0)(x)),
    "integers": (RuntimeError, "floating point dtype", lambda x: rg.func.grad(ops.sum)(rg.tensor([1, 2]))),
    "argnums": (RuntimeError, "Got argnum=3, but only 1", lambda x: rg.func.grad(ops.sum, argnums=3)(x)),
    "forms": (RuntimeError, "pytree structure", lambda x: rg.func.vjp(lambda x: (x, x), x)[1](x)),
    "shapes": (RuntimeError, "Mismatch in shape", lambda x: rg.func.vjp(lambda x: x, x)[1](rg.ones(3))),
    "nothing to map": (ValueError, "at least one Tensor", lambda x: rg.func.vmap(lambda x: x, in_dims=None)(x)),
    "sizes": (ValueError, r"got sizes \[2, 3\]", lambda x: rg.func.vmap(lambda x, y: x)(x, rg.ones(3))),
    "in_dims": (ValueError, "not compatible", lambda x: rg.func.vmap(lambda x, y: x, in_dims=(0,))(x, x)),
    "too deep": (ValueError, "in_dim=1", lambda x: rg.func.vmap(lambda x: x, in_dims=1)(x)),
    "no Tensor": (ValueError, "only return Tensors", lambda x: rg.func.vmap(lambda x: 3)(x)),
    "not the same": (ValueError, "differs between samples", lambda x: rg.func.vmap(lambda x: x, out_dims=None)(x)),
    "chunks": (NotImplementedError, "chunk_size", lambda x: rg.func.vmap(lambda x: x, chunk_size=2)(x)),
}


@pytest.mark.parametrize("what", FUNC_ERRORS)
def test_func_says_what_does_not_fit(what: str) -> None:
    kind, message, call = FUNC_ERRORS[what]
    with pytest.raises(kind, match=message):
        call(vector(1.0, 2.0))


# ---- edges


def test_no_outputs_give_a_jacobian_of_no_rows() -> None:
    assert F.jacobian(lambda x: x[:0] * 2, rg.ones(3)).shape == (0, 3)
    assert rg.func.jacrev(lambda x: x[:0] * 2)(rg.ones(3)).shape == (0, 3)


def test_products_work_inside_no_grad() -> None:
    with rg.no_grad():
        assert F.jacobian(lambda x: x * x, rg.tensor([3.0])).tolist() == [[6]]
        gradient = rg.func.grad(lambda x: x * x)(rg.tensor(3.0, requires_grad=True))
        assert gradient.item() == 6
        assert not gradient.requires_grad
        assert not rg.is_grad_enabled()


def test_a_function_that_raises_leaves_recording_as_it_was() -> None:
    def fail(x: rg.Tensor) -> rg.Tensor:
        raise KeyError("inside")

    for transform in (lambda: F.jacobian(fail, rg.ones(1)), lambda: rg.func.grad(fail)(rg.ones(()))):
        with rg.no_grad():
            with pytest.raises(KeyError):
                transform()
            assert not rg.is_grad_enabled()
        assert rg.is_grad_enabled()


def test_a_pullback_may_be_called_often_and_differentiated() -> None:
    x = rg.tensor([1.0, 2.0], dtype=rg.float64)
    _, pull = rg.func.vjp(lambda x: x**3, x)
    assert pull(rg.ones(2, dtype=rg.float64))[0].tolist() == [3, 12]
    assert pull(rg.ones(2, dtype=rg.float64))[0].tolist() == [3, 12]
    v = rg.ones(2, dtype=rg.float64, requires_grad=True)
    (g,) = pull(v)
    assert rg.autograd.grad(g.sum(), v)[0].tolist() == [3, 12]


def test_a_change_in_place_inside_a_function_does_not_reach_its_argument() -> None:
    x = rg.tensor([1.0, 2.0])
    gradient = rg.func.grad(lambda x: x.clone().mul_(3).sum())(x)
    assert (gradient.tolist(), x.tolist()) == ([3, 3], [1, 2])


UNSUPPORTED: dict[str, Callable[[], Any]] = {
    "vectorize": lambda: F.jacobian(lambda x: x, rg.ones(2), vectorize=True),
    "forward mode": lambda: F.jacobian(lambda x: x, rg.ones(2), strategy="forward-mode"),
    "vectorized hessian": lambda: F.hessian(lambda x: x.sum(), rg.ones(2), vectorize=True),
    "chunks of jacrev": lambda: rg.func.jacrev(lambda x: x, chunk_size=2),
    "chunks of vmap": lambda: rg.func.vmap(lambda x: x, chunk_size=2),
    "randomness of jacfwd": lambda: rg.func.jacfwd(lambda x: x, randomness="same"),
}


@pytest.mark.parametrize("call", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_what_is_not_supported_raises(call: Callable[[], Any]) -> None:
    with pytest.raises(NotImplementedError, match="not supported; leave"):
        call()


def test_vmap_over_no_samples_keeps_the_shape_of_one() -> None:
    assert rg.vmap(lambda row: row @ row, out_dims=0)(rg.ones(0, 3)).shape == (0,)
    assert rg.vmap(lambda row: row * 2, out_dims=1)(rg.ones(0, 3)).shape == (3, 0)


def test_vmap_hands_back_what_all_samples_share() -> None:
    doubled, name = rg.vmap(lambda x: (x * 2, "doubled"), out_dims=(0, None))(rg.ones(3))
    assert (doubled.tolist(), name) == ([2, 2, 2], "doubled")
    with pytest.raises(ValueError, match="differs between samples"):
        rg.vmap(lambda x: x, out_dims=None)(rg.arange(3.0))


def test_vmap_refuses_draws_unless_told_how_and_leaves_the_stream_untouched() -> None:
    rg.manual_seed(0)
    first = rg.rand(1).item()
    rg.manual_seed(0)
    with pytest.raises(RuntimeError, match="randomness"):
        rg.vmap(lambda x: x + rg.rand(()))(rg.ones(2))
    assert rg.rand(1).item() == first
    same = rg.vmap(lambda x: x + rg.rand(()), randomness="same")(rg.zeros(3)).tolist()
    different = rg.vmap(lambda x: x + rg.rand(()), randomness="different")(rg.zeros(3)).tolist()
    assert len(set(same)) == 1
    assert len(set(different)) == 3


def test_nests_come_apart_and_together() -> None:
    nest = {"a": (1, [2, {"b": 3}]), "c": ()}
    leaves, form = flatten(nest)
    assert leaves == [1, 2, 3]
    assert form.built(leaves) == nest
    assert str(form) == "{'a': (*, [*, {'b': *}]), 'c': ()}"
