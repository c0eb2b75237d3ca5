"""Functions of one sample made functions of a batch."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

from retrograd.autograd import ops as _ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.random import default_generator
from retrograd.autograd.modes import no_grad
from retrograd.autograd.ops.shape import unbind
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.tree import Structure, flatten, spread

__all__ = ["vmap"]

ops: Any = _ops
Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


def vmap(
    func: Function, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Function:
    """The function over a new dimension: called once per sample, and its results stacked.

    in_dims: the dimension to run over, for all arguments or per argument, in nests like theirs; None for what all
    samples share. out_dims: where the new dimension stands in the results, likewise; None for a result that is the same
    for all. randomness: "error" raises if func draws random numbers, "different" lets it, "same" gives every sample the
    same ones. `chunk_size` is not supported. ValueError for dimensions that do not fit.

    >>> import retrograd as rg
    >>> rg.func.vmap(rg.dot)(rg.tensor([[1.0, 2.0], [3.0, 4.0]]), rg.tensor([[1.0, 1.0], [1.0, 1.0]]))
    tensor([3., 7.])
    """
    if chunk_size is not None:
        raise NotImplementedError(f"vmap: chunk_size={chunk_size} is not supported; leave it out.")
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        if not args:
            raise ValueError(
                "vmap: got no inputs. Maybe you forgot to add inputs; a function without is not supported."
            )
        leaves, form = flatten(args)
        samples, size = parted(leaves, mapped(leaves, form, in_dims))
        with no_grad() if size == 0 else contextlib.nullcontext():
            results = drawing(
                lambda i: func(*form.built([part[i] for part in samples]), **kwargs), max(size, 1), randomness
            )
        return joined(results, out_dims, size)

    return transformed


def mapped(leaves: list[Any], form: Structure, in_dims: Any) -> list[int | None]:
    """For every leaf of the arguments the dimension to run over."""
    prefix = tuple(in_dims) if isinstance(in_dims, list) else in_dims
    dims = spread(prefix, form)
    if dims is None:
        raise ValueError(f"vmap: in_dims={in_dims} is not compatible with the structure of the inputs, {form}.")
    checked: list[int | None] = []
    for dim, value in zip(dims, leaves):
        if dim is not None and not isinstance(value, Tensor):
            raise ValueError(
                f"vmap: got in_dim={dim} for an input of type {type(value).__name__}; only Tensors can be run over, "
                "use None as its in_dim."
            )
        if dim is not None and not (isinstance(dim, int) and -value.ndim <= dim < value.ndim):
            raise ValueError(f"vmap: got in_dim={dim} for an input of {value.ndim} dimensions (shape {value.shape}).")
        checked.append(None if dim is None else dim % value.ndim)
    return checked


def parted(leaves: list[Any], dims: list[int | None]) -> tuple[list[Sequence[Any]], int]:
    """For every leaf its samples, and how many there are. Without any there is one sample of zeros, to learn shapes."""
    sizes = {value.shape[dim] for value, dim in zip(leaves, dims) if dim is not None}
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(sizes) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, "
            f"got sizes {sorted(sizes)} for the mapped dimension"
        )
    (size,) = sizes
    samples: list[Sequence[Any]] = []
    for value, dim in zip(leaves, dims):
        if dim is None:
            samples.append([value] * max(size, 1))
        elif size:
            samples.append(unbind(value, dim))
        else:
            shape = (*value.shape[:dim], *value.shape[dim + 1 :])
            samples.append([make(namespace(value).new_zeros(value._array, shape=shape))])
    return samples, size


def drawing(call: Callable[[int], Any], count: int, randomness: str) -> list[Any]:
    """The results of all calls, their draws from the default stream as `randomness` says."""
    start = default_generator.get_state()
    results = []
    for i in range(count):
        if randomness == "same":
            default_generator.set_state(start)
        results.append(call(i))
    if randomness == "error" and default_generator.get_state().tolist() != start.tolist():
        default_generator.set_state(start)
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
            "randomness flags on vmap or perform the randomness operation out of vmap."
        )
    return results


def joined(results: list[Any], out_dims: Any, size: int) -> Any:
    """The results of all samples as one, along a new dimension."""
    first, form = flatten(results[0])
    rows = [flatten(result)[0] for result in results]
    dims = spread(tuple(out_dims) if isinstance(out_dims, list) else out_dims, form)
    if dims is None:
        raise ValueError(f"vmap: out_dims={out_dims} is not compatible with the structure of the outputs, {form}.")
    outputs = []
    for i, dim in enumerate(dims):
        column = [row[i] for row in rows]
        if dim is None:
            outputs.append(common(column))
            continue
        if not isinstance(first[i], Tensor):
            raise ValueError(
                f"vmap: the function must only return Tensors, got type {type(first[i]).__name__}. "
                "Did you mean to set out_dims= to None for output?"
            )
        axis = dimension(dim, first[i].ndim + 1)
        stack = ops.stack(*column, axis=axis)
        if not size:
            xp = namespace(stack)
            shape = tuple(0 if a == axis else n for a, n in enumerate(stack.shape))
            stack = make(xp.new_zeros(stack._array, shape=shape))
        outputs.append(stack)
    return form.built(outputs)


def common(column: list[Any]) -> Any:
    """What is the same for all samples; ValueError where it is not."""
    first = column[0]
    for other in column[1:]:
        if isinstance(first, Tensor):
            same = other is first or bool(namespace(first).all(first._array == other._array))
        else:
            same = other is first or other == first
        if not same:
            raise ValueError("vmap: an output differs between samples, so its out_dim cannot be None.")
    return first
