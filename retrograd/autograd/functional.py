"""Derivatives of functions of Tensors: Jacobians, Hessians and their products with vectors (torch.autograd.functional).

All by reverse mode. A Jacobian times a vector comes from two reverse passes: the first is linear in its cotangent u,
and its derivative with respect to u is the product (Townsend 2017, "A new trick
for calculating Jacobian vector products").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from retrograd.autograd import ops as _ops
from retrograd.autograd.graph import AccumulateGrad, grad
from retrograd.autograd.modes import enable_grad
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.tree import map_leaves

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

ops: Any = _ops
Tensors = Tensor | tuple[Tensor, ...]
Function = Callable[..., Any]


# ---- what all of them do


def listed(value: Any, what: str) -> tuple[Tensor, ...]:
    """Tensors given as one or as a tuple (or list). TypeError for anything else."""
    several = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for i, t in enumerate(several):
        if not isinstance(t, Tensor):
            got = f"element {i} has type" if isinstance(value, (tuple, list)) else "it has type"
            raise TypeError(f"The {what} must be either a Tensor or a tuple of Tensors, but {got} {type(t).__name__}.")
    return several


def leaf(array: Any) -> Tensor:
    """A new leaf around an array, that requires a gradient."""
    tensor = make(array)
    tensor._node = AccumulateGrad(tensor)
    return tensor


def started(inputs: Any, create_graph: bool, name: str) -> tuple[Tensor, ...]:
    """The inputs cut off from their graph, or views of them where the result is to reach it."""
    return tuple(
        ops.reshape(x, shape=x.shape) if create_graph and x._node is not None else leaf(x._array)
        for x in listed(inputs, f"inputs given to {name}")
    )


def called(func: Function, inputs: Sequence[Tensor], name: str, strict: bool) -> tuple[tuple[Tensor, ...], bool]:
    """The outputs of the function, and whether it returned several."""
    result = func(*inputs)
    outputs = listed(result, f"outputs of the user-provided function given to {name}")
    if strict:
        for i, out in enumerate(outputs):
            if out._node is None:
                raise RuntimeError(
                    f"Output {i} of the user-provided function does not require gradients. The outputs must be "
                    "computed in a differentiable manner from the input when running in strict mode."
                )
    return outputs, isinstance(result, (tuple, list))


def weights(v: Any, like: Sequence[Tensor], of: str) -> tuple[Tensor, ...]:
    """The vector of a product, checked; ones for a single number."""
    if v is None:
        if len(like) != 1 or like[0]._array.size != 1:
            raise RuntimeError(f"The vector v can only be None if {of} is a single Tensor with a single element.")
        return (make(namespace(like[0]).ones(like[0].shape, dtype=like[0].dtype)),)
    vs = listed(v, "vector v")
    if len(vs) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vs)}.")
    for i, (given, x) in enumerate(zip(vs, like)):
        if given.shape != x.shape:
            entry = f"Entry {i} in v" if len(vs) > 1 else "v"
            raise RuntimeError(f"{entry} has invalid size: should be {x.shape} but got {given.shape}.")
    return vs


def pulled(
    outputs: Sequence[Tensor | None],
    inputs: Sequence[Tensor],
    vectors: Sequence[Tensor],
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """`grad`, with None for every input that the outputs do not depend on."""
    pairs = [(out, v) for out, v in zip(outputs, vectors) if out is not None and out._node is not None]
    if not pairs:
        return (None,) * len(inputs)
    outs, vs = zip(*pairs)
    return grad(outs, inputs, vs, retain_graph=retain_graph, create_graph=create_graph, allow_unused=True)


def filled(
    gradients: Sequence[Tensor | None], like: Sequence[Tensor], strict: bool, problem: str
) -> tuple[Tensor, ...]:
    """Zeros for what does not depend on the input; an error in strict mode."""
    results = []
    for i, (g, x) in enumerate(zip(gradients, like)):
        if g is None and strict:
            raise RuntimeError(problem.format(i))
        results.append(zeros_like(x) if g is None else g)
    return tuple(results)


def zeros_like(x: Tensor) -> Tensor:
    return make(namespace(x).new_zeros(x._array, shape=x.shape))


INDEPENDENT = "The output of the user-provided function is independent of input {}. This is not allowed in strict mode."
CONSTANT = (
    "The jacobian of the user-provided function is independent of input {}. This is not allowed in strict mode "
    "when create_graph=True."
)


def finished(results: Sequence[Tensor], several: bool, create_graph: bool) -> Any:
    """The results as the caller's inputs or outputs were given; without their graph unless it is wanted."""
    out = tuple(results) if create_graph else tuple(make(t._array) for t in results)
    return out if several else out[0]


def check_depends(results: Sequence[Tensor], strict: bool, create_graph: bool) -> None:
    """In strict mode a result that is to be differentiated must have a graph."""
    for i, t in enumerate(results):
        if strict and create_graph and t._node is None:
            raise RuntimeError(CONSTANT.format(i))


def refuse_vectorize(name: str, vectorize: bool, strategy: str) -> None:
    assert strategy in ("forward-mode", "reverse-mode"), (
        f'Expected strategy to be either "forward-mode" or "reverse-mode", got {strategy!r}.'
    )
    if vectorize or strategy == "forward-mode":
        raise NotImplementedError(
            f"{name}: vectorize=True and forward mode are not supported; leave them out, the result is the same."
        )


# ---- products


def vjp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """The function's outputs, and vᵀJ: the gradient of Σ v·outputs with respect to the inputs.

    `v` has the outputs' shapes; it may be None for one output of one element. Without `create_graph` the results have
    no graph. `strict` raises RuntimeError for outputs that do not depend on an input, whose gradient else is zero.

    >>> import retrograd as rg
    >>> rg.autograd.functional.vjp(lambda x: x * x, rg.tensor([1.0, 2.0]), rg.tensor([1.0, 1.0]))[1]
    tensor([2., 4.])
    """
    with enable_grad():
        ins = started(inputs, create_graph, "vjp")
        outs, several = called(func, ins, "vjp", strict)
        vs = weights(v, outs, "the user-provided function returns")
        gs = filled(pulled(outs, ins, vs, create_graph=create_graph), ins, strict, INDEPENDENT)
        check_depends(gs, strict, create_graph)
    return finished(outs, several, create_graph), finished(gs, isinstance(inputs, (tuple, list)), create_graph)


def jvp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """The function's outputs, and J v: their derivative in the direction v, which has the inputs' shapes.

    Other arguments as in `vjp`. Costs two reverse passes.

    >>> import retrograd as rg
    >>> rg.autograd.functional.jvp(lambda x: x.sum() * x, rg.tensor([1.0, 2.0]), rg.tensor([1.0, 0.0]))[1]
    tensor([4., 2.])
    """
    with enable_grad():
        ins = started(inputs, create_graph, "jvp")
        vs = weights(v, ins, "the input to the user-provided function")
        outs, several = called(func, ins, "jvp", strict)
        dual = [leaf(zeros_like(out)._array) for out in outs]
        linear = pulled(outs, ins, dual, create_graph=True)
        filled(linear, ins, strict, INDEPENDENT)
        results = filled(pulled(linear, dual, vs, create_graph=create_graph), outs, False, "")
        check_depends(results, strict, create_graph)
    return finished(outs, several, create_graph), finished(results, several, create_graph)


def vhp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, Tensors]:
    """The value of a function with one number as its output, and vᵀH with its Hessian; v has the inputs' shapes."""
    with enable_grad():
        ins = started(inputs, create_graph, "vhp")
        vs = weights(v, ins, "the input to the user-provided function")
        outs, several = called(single("vhp", func), ins, "vhp", strict)
        ones = [make(namespace(out).ones(out.shape, dtype=out.dtype)) for out in outs]
        first = filled(pulled(outs, ins, ones, create_graph=True), ins, strict, INDEPENDENT)
        check_depends(first, strict, True)
        results = filled(pulled(first, ins, vs, create_graph=create_graph), ins, strict, CONSTANT)
        check_depends(results, strict, create_graph)
    value = finished(outs, several, create_graph)
    return value, finished(results, isinstance(inputs, (tuple, list)), create_graph)


def hvp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, Tensors]:
    """The value and H v: equal to `vhp`, as a Hessian is symmetric, and computed so.

    >>> import retrograd as rg
    >>> rg.autograd.functional.hvp(lambda x: (x ** 3).sum(), rg.tensor([1.0, 2.0]), rg.tensor([1.0, 1.0]))[1]
    tensor([ 6., 12.])
    """
    return vhp(single("hvp", func), inputs, v, create_graph, strict)


def single(name: str, func: Function) -> Function:
    """The function, made to raise unless it returns one number."""

    def checked(*inputs: Tensor) -> Tensor:
        out = func(*inputs)
        if not isinstance(out, Tensor):
            raise RuntimeError(f"The function given to {name} should return a single Tensor")
        if out._array.size != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
        return out

    return checked


# ---- matrices


def jacobian(
    func: Function,
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivative of every output element by every input element: shape (*output, *input).

    A tuple of outputs gives a tuple of Jacobians, a tuple of inputs a tuple in each of them. One reverse pass per
    output element. `create_graph` and `strict` as in `vjp`; `vectorize` and forward mode are not supported.

    >>> import retrograd as rg
    >>> rg.autograd.functional.jacobian(lambda x: x * x, rg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    refuse_vectorize("jacobian", vectorize, strategy)
    with enable_grad():
        ins = started(inputs, create_graph, "jacobian")
        outs, several = called(func, ins, "jacobian", strict)
        rows = [jacobians(out, ins, create_graph, strict) for out in outs]
    of_outputs = [row if isinstance(inputs, (tuple, list)) else row[0] for row in rows]
    result = tuple(of_outputs) if several else of_outputs[0]
    return result if create_graph else map_leaves(lambda t: make(t._array), result)


def jacobians(out: Tensor, inputs: Sequence[Tensor], create_graph: bool, strict: bool = False) -> tuple[Tensor, ...]:
    """Of one output, with respect to every input."""
    columns: list[list[Tensor]] = [[] for _ in inputs]
    for unit in units(out):
        gs = pulled([out], inputs, [unit], create_graph=create_graph, retain_graph=True)
        check_depends([g for g in gs if g is not None], strict, create_graph)
        for column, g in zip(columns, filled(gs, inputs, strict, INDEPENDENT)):
            column.append(g)
    return tuple(
        ops.reshape(ops.stack(*column, axis=0), shape=(*out.shape, *x.shape))
        if column
        else make(namespace(x).new_zeros(x._array, shape=(*out.shape, *x.shape)))
        for column, x in zip(columns, inputs)
    )


def units(x: Tensor) -> Any:
    """For every element of x the tensor of its shape that is 1 there and else 0."""
    xp = namespace(x)
    for i in range(x._array.size):
        unit = xp.new_zeros(x._array, shape=(x._array.size,))
        xp.setitem(unit, i, 1)
        yield make(xp.reshape(unit, x.shape))


def hessian(
    func: Function,
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Second derivatives of a function with one number as its output: shape (*input, *input).

    A tuple of inputs gives a tuple of tuples. Arguments as in `jacobian`.

    >>> import retrograd as rg
    >>> rg.autograd.functional.hessian(lambda x: (x ** 3).sum(), rg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    refuse_vectorize("hessian", vectorize, outer_jacobian_strategy)
    several = isinstance(inputs, (tuple, list))

    def gradient(*xs: Tensor) -> Any:
        found = jacobian(single("hessian", func), xs, create_graph=True)
        if strict:
            check_depends(found, strict, True)
        found = tuple(ops.reshape(g, shape=x.shape) for g, x in zip(found, xs))  # the output may be (1,)
        return found if several else found[0]

    return jacobian(gradient, inputs, create_graph=create_graph, strict=strict)
