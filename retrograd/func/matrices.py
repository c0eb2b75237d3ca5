"""Jacobians and Hessians of functions: a product of `gradients` for every row or column."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from retrograd.autograd import ops as _ops
from retrograd.autograd.functional import pulled, units, zeros_like
from retrograd.autograd.modes import enable_grad
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.func.gradients import Inputs, Linear, chosen, leaves_of, released, replaced, split_aux

__all__ = ["hessian", "jacfwd", "jacrev"]

ops: Any = _ops
Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


def jacrev(func: Function, argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None) -> Function:
    """The Jacobian as a function: for every output Tensor, in the form of the argument, shape (*output, *input).

    One reverse pass per output element; `chunk_size` is not supported.

    >>> import retrograd as rg
    >>> rg.func.jacrev(lambda x: x * x)(rg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None:
        raise NotImplementedError(f"jacrev: chunk_size={chunk_size} is not supported; leave it out.")

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        numbers, wanted = chosen("jacrev", argnums, args)
        inputs = Inputs(wanted, "jacrev")
        with enable_grad():
            result = func(*replaced(args, numbers, inputs.nest, argnums), **kwargs)
            output, aux = split_aux("jacrev", result, has_aux)
            outputs, form = leaves_of("jacrev", output)
            keep = inputs.reaches_outside(outputs)
            blocks = [inputs.form.built(rows_of(out, inputs.tensors, keep)) for out in outputs]
        jacobian, aux = released((form.built(blocks), aux), keep)
        return (jacobian, aux) if has_aux else jacobian

    return transformed


def rows_of(out: Tensor, inputs: Sequence[Tensor], create_graph: bool) -> list[Tensor]:
    """The Jacobian of one output by every input, row by row."""
    rows = [pulled([out], inputs, [unit], create_graph=create_graph, retain_graph=True) for unit in units(out)]
    return [stacked([row[i] for row in rows], x, (*out.shape, *x.shape)) for i, x in enumerate(inputs)]


def stacked(parts: Sequence[Tensor | None], like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Equal parts as one Tensor of a shape, None standing for zeros."""
    if not parts:
        return make(namespace(like).new_zeros(like._array, shape=shape))
    found = ops.stack(*[zeros_like(like) if part is None else part for part in parts], axis=0)
    return ops.reshape(found, shape=shape)  # type: ignore[no-any-return]


def jacfwd(func: Function, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error") -> Function:
    """The Jacobian as `jacrev` gives it, computed column by column: two reverse passes, then one per input element.

    For functions with more outputs than inputs. Of PyTorch's `randomness` only "error" is supported.
    """
    if randomness != "error":
        raise NotImplementedError(f"jacfwd: randomness={randomness!r} is not supported; leave it out.")

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        numbers, wanted = chosen("jacfwd", argnums, args)

        def of_wanted(values: Any) -> Any:
            return func(*replaced(args, numbers, values, argnums), **kwargs)

        linear = Linear("jacfwd", of_wanted, (wanted,), has_aux)
        tensors = linear.inputs.tensors
        columns = [
            [linear.along([unit if x is y else zeros_like(y) for y in tensors]) for unit in units(x)] for x in tensors
        ]
        blocks = [
            linear.inputs.form.children[0].built(
                [turned([column[o] for column in columns[i]], out, x) for i, x in enumerate(tensors)]
            )
            for o, out in enumerate(linear.outputs)
        ]
        jacobian = linear.form.built(blocks)
        return (jacobian, released(linear.aux, linear.keep)) if has_aux else jacobian

    return transformed


def turned(columns: Sequence[Tensor], out: Tensor, x: Tensor) -> Tensor:
    """Columns, one per input element, as a Jacobian with the input's axes last."""
    block = stacked(columns, out, (*x.shape, *out.shape))
    n, m = x.ndim, out.ndim
    return ops.permute_dims(block, axes=(*range(n, n + m), *range(n)))  # type: ignore[no-any-return]


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """Second derivatives as a function: the Jacobian of the Jacobian, both by `jacrev`.

    >>> import retrograd as rg
    >>> rg.func.hessian(lambda x: (x ** 3).sum())(rg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)
