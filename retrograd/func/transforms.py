"""Functions of functions, `rg.func`: gradients, Jacobians and batches without `requires_grad`, named as in torch.func.

A transform gives its function fresh inputs, and looks afterwards whether the result depends on anything outside that
requires a gradient: an outer transform's input, or a parameter. Only then is the graph kept. So transforms nest to any
order.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

from retrograd.autograd import ops as _ops
from retrograd.autograd.functional import leaf, pulled, units, zeros_like
from retrograd.autograd.graph import AccumulateGrad, Node
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.random import default_generator
from retrograd.autograd.modes import enable_grad, no_grad, state
from retrograd.autograd.ops.shape import unbind
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.tree import Structure, flatten, map_leaves, spread

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp", "vmap"]

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


# ---- matrices


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


# ---- batches


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
