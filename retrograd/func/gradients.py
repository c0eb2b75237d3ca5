"""Gradients and directional derivatives of functions, without `requires_grad`, named as in torch.func.

A transform gives its function fresh inputs, and looks afterwards whether the result depends on anything outside that
requires a gradient: an outer transform's input, or a parameter. Only then is the graph kept. So transforms nest to any
order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from retrograd.autograd import ops as _ops
from retrograd.autograd.functional import leaf, pulled, zeros_like
from retrograd.autograd.graph import AccumulateGrad, Node
from retrograd.autograd.modes import enable_grad, state
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.tree import Structure, flatten, map_leaves

__all__ = ["grad", "grad_and_value", "jvp", "linearize", "vjp"]

ops: Any = _ops
Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


class Inputs:
    """The inputs that one call of a transform differentiates by: nests of Tensors, flattened."""

    def __init__(self, nest: Any, name: str) -> None:
        self.recording = state.grad
        given, self.form = flatten(nest)
        no_tensor, no_float = (RuntimeError, ValueError) if name == "jvp" else (ValueError, RuntimeError)
        for t in given:
            if not isinstance(t, Tensor):
                raise no_tensor(f"{name}: can only differentiate by Tensors, got an input of type {type(t).__name__}")
            if t.dtype.kind != "f":
                raise no_float(f"{name}: only Tensors of floating point dtype can require gradients, got {t.dtype}")
        self.tracked = state.grad and any(t._node is not None for t in given)
        fresh = [ops.copy(t) if state.grad and t._node is not None else leaf(t._array) for t in given]
        self.tensors = [make(t._array, t._node, t._stamp) for t in fresh]  # where they are, should `fresh` be changed
        self.nest = self.form.built(fresh)
        self.own = [t._node for t in fresh]

    def reaches_outside(self, outputs: Sequence[Any]) -> bool:
        """Whether the result has to keep its graph."""
        if not self.recording or self.tracked:
            return self.recording
        pending: list[Node | None] = [t._node for t in outputs if isinstance(t, Tensor)]
        seen = {node.seq for node in self.own if node is not None}
        while pending:
            node = pending.pop()
            if node is None or node.seq in seen:
                continue
            if isinstance(node, AccumulateGrad):
                return True
            seen.add(node.seq)
            pending += node.parents
        return False


def released(nest: Any, keep: bool) -> Any:
    """Tensors without their graph, unless it is kept."""
    return nest if keep else map_leaves(lambda t: make(t._array) if isinstance(t, Tensor) else t, nest)


def chosen(name: str, argnums: Argnums, args: tuple[Any, ...]) -> tuple[tuple[int, ...], Any]:
    """Numbers of the arguments to differentiate by, and these, as one or as a tuple."""
    numbers = []
    for n in argnums if isinstance(argnums, tuple) else (argnums,):
        if not isinstance(n, int):
            raise RuntimeError(f"{name}: argnums must be int or a tuple of int, got {argnums!r}")
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
        numbers.append(n % len(args))
    if len(set(numbers)) < len(numbers):
        raise RuntimeError(f"{name}: argnums {argnums} names an argument twice")
    return tuple(numbers), tuple(args[n] for n in numbers) if isinstance(argnums, tuple) else args[numbers[0]]


def replaced(args: tuple[Any, ...], numbers: tuple[int, ...], values: Any, argnums: Argnums) -> list[Any]:
    """The arguments, some of them exchanged."""
    result = list(args)
    for n, value in zip(numbers, values if isinstance(argnums, tuple) else (values,)):
        result[n] = value
    return result


def split_aux(name: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    """Output and auxiliary output."""
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise RuntimeError(f"{name}: with has_aux=True the function must return a tuple (output, aux)")
    return result


# ---- gradients


def grad_and_value(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that returns (gradient, value), or (gradient, (value, aux)), of one that returns a 0-d Tensor.

    The gradient has the form of the argument numbered `argnums` (for a tuple of numbers a tuple), which may nest
    tuples, lists and dicts of float Tensors.
    """

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        numbers, wanted = chosen("grad", argnums, args)
        inputs = Inputs(wanted, "grad")
        with enable_grad():
            result = func(*replaced(args, numbers, inputs.nest, argnums), **kwargs)
            value, aux = split_aux("grad", result, has_aux)
            if not isinstance(value, Tensor):
                raise RuntimeError(f"grad: expected the function to return a Tensor, got {type(value).__name__}")
            if value.ndim:
                raise RuntimeError(
                    f"grad: expected the function to return a scalar Tensor, got shape {value.shape}; "
                    "maybe use vjp or jacrev."
                )
            keep = inputs.reaches_outside([value])
            one = make(namespace(value).ones((), dtype=value.dtype))
            found = pulled([value], inputs.tensors, [one], create_graph=keep)
        gs = inputs.form.built([zeros_like(x) if g is None else g for g, x in zip(found, inputs.tensors)])
        value, aux = released((value, aux), keep)
        return released(gs, keep), ((value, aux) if has_aux else value)

    return transformed


def grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The gradient of a function that returns a 0-d Tensor, as a function; arguments as in `grad_and_value`.

    >>> import retrograd as rg
    >>> rg.func.grad(rg.func.grad(lambda x: x ** 3))(rg.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """(output, pull) or (output, pull, aux): pull(cotangents) gives vᵀJ, one result per primal, as often as called.

    The cotangents have the form and shapes of the output.

    >>> import retrograd as rg
    >>> output, pull = rg.func.vjp(lambda x: x * x, rg.tensor([1.0, 2.0]))
    >>> pull(rg.tensor([1.0, 1.0]))
    (tensor([2., 4.]),)
    """
    inputs = Inputs(primals, "vjp")
    with enable_grad():
        output, aux = split_aux("vjp", func(*inputs.nest), has_aux)
    outputs, form = leaves_of("vjp", output)
    keep = inputs.reaches_outside(outputs)

    def pull(*cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given, its_form = flatten(cotangents[0] if len(cotangents) == 1 else cotangents)
        if its_form != form:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                f"function. cotangents: {its_form}, primal output: {form}"
            )
        for i, (v, out) in enumerate(zip(given, outputs)):
            if v.shape != out.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{i}] has a shape of {v.shape} and output[{i}] has {out.shape}."
                )
        linked = state.grad and (keep or any(v._node is not None for v in given))
        linked = linked if create_graph is None else create_graph
        found = pulled(outputs, inputs.tensors, given, create_graph=linked, retain_graph=retain_graph)
        gs = [zeros_like(x) if g is None else g for g, x in zip(found, inputs.tensors)]
        return released(inputs.form.built(gs), linked)

    output, aux = released((output, aux), keep)
    return (output, pull, aux) if has_aux else (output, pull)


def leaves_of(name: str, output: Any) -> tuple[list[Tensor], Structure]:
    """The Tensors of a function's output, and its form."""
    outputs, form = flatten(output)
    for t in outputs:
        if not isinstance(t, Tensor):
            raise RuntimeError(f"{name}: expected the function to return only Tensors, got type {type(t).__name__}")
    return outputs, form


class Linear:
    """The derivative of a function at a point as a function of directions: a reverse pass, to be reversed itself."""

    def __init__(self, name: str, func: Function, primals: Any, has_aux: bool) -> None:
        self.inputs = Inputs(primals, name)
        with enable_grad():
            self.output, self.aux = split_aux(name, func(*self.inputs.nest), has_aux)
            self.outputs, self.form = leaves_of(name, self.output)
            self.keep = self.inputs.reaches_outside(self.outputs)
            self.dual = [leaf(zeros_like(out)._array) for out in self.outputs]
            self.rows = pulled(self.outputs, self.inputs.tensors, self.dual, create_graph=True)

    def along(self, directions: Sequence[Tensor]) -> list[Tensor]:
        """One derivative per output."""
        linked = state.grad and (self.keep or any(v._node is not None for v in directions))
        found = pulled(self.rows, self.dual, directions, create_graph=linked, retain_graph=True)
        results = [zeros_like(out) if g is None else g for g, out in zip(found, self.outputs)]
        return [released(t, linked) for t in results]


def jvp(func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """(output, J v) or (output, J v, aux): the derivative at `primals` in the direction `tangents`, tuples of one form.

    By two reverse passes. `strict=True` raises where an output does not depend on the primals.

    >>> import retrograd as rg
    >>> rg.func.jvp(lambda x: x * x, (rg.tensor([1.0, 2.0]),), (rg.tensor([1.0, 1.0]),))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(f"jvp: expected primals to be a tuple, e.g. f(*primals), got {type(primals).__name__}")
    directions, form = flatten(tangents)
    linear = Linear("jvp", func, primals, has_aux)
    if form != linear.inputs.form:
        raise RuntimeError(f"jvp: primals and tangents have different forms: {linear.inputs.form} and {form}")
    for x, v in zip(linear.inputs.tensors, directions):
        if x.shape != v.shape:
            raise RuntimeError(f"jvp: a primal has shape {x.shape}, but its tangent {v.shape}")
    if strict and any(out._node is None for out in linear.outputs):
        raise RuntimeError("jvp: an output does not depend on the primals, which strict=True forbids")
    product = linear.form.built(linear.along(directions))
    output, aux = released((linear.output, linear.aux), linear.keep)
    return (output, product, aux) if has_aux else (output, product)


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """(output, f): the value at `primals`, and the derivative there as a function f(*tangents) of directions.

    >>> import retrograd as rg
    >>> _, along = rg.func.linearize(lambda x: x * x, rg.tensor([1.0, 2.0]))
    >>> along(rg.tensor([1.0, 10.0]))
    tensor([ 2., 40.])
    """
    linear = Linear("linearize", func, primals, False)

    def along(*tangents: Any) -> Any:
        directions, form = flatten(tangents)
        if form != linear.inputs.form:
            raise RuntimeError(f"linearize: primals and tangents have different forms: {linear.inputs.form} and {form}")
        for x, v in zip(linear.inputs.tensors, directions):
            if x.shape != v.shape:
                raise RuntimeError(f"linearize: a primal has shape {x.shape}, but its tangent {v.shape}")
        return linear.form.built(linear.along(directions))

    return released(linear.output, linear.keep), along
