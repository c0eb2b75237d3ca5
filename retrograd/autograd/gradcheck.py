"""Gradients compared with finite differences: `gradcheck` for the first order, `gradgradcheck` for the second."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from retrograd.autograd.graph import AccumulateGrad, grad
from retrograd.autograd.modes import enable_grad, no_grad
from retrograd.autograd.tensor import Tensor, make, namespace

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

Array = Any
Function = Callable[..., Any]


class GradcheckError(RuntimeError):
    """A gradient is not what finite differences say, or not the same every time."""


def gradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compares the gradients of `func(*inputs)` with central differences of step `eps`, element by element.

    inputs: Tensors of any shape, in float64 for the default tolerances; those that require a gradient are checked. They
    are varied in place and restored. Outputs: a Tensor, or several. Each is differentiated alone, so the others'
    gradients are undefined then, whatever `check_undefined_grad` says. The difference must be within
    atol + rtol |numerical|, and between two backward passes within `nondet_tol`.

    Returns True. Raises GradcheckError, or returns False where not `raise_exception`, for a wrong gradient; ValueError
    when no input requires a gradient; NotImplementedError for forward mode, batched and fast checks.

    >>> import retrograd as rg
    >>> x = rg.tensor([0.5, 2.0], dtype=rg.float64, requires_grad=True)
    >>> gradcheck(lambda x: x * x, (x,))
    True
    """
    refuse(
        "gradcheck",
        check_batched_grad=check_batched_grad,
        check_batched_forward_grad=check_batched_forward_grad,
        check_forward_ad=check_forward_ad,
        fast_mode=fast_mode,
        masked=masked,
    )
    if not check_backward_ad:
        raise NotImplementedError("gradcheck: check_backward_ad=False leaves nothing to check; leave it out.")
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    varied = [t for t in arguments if isinstance(t, Tensor) and t._node is not None]
    try:
        check_inputs(arguments, varied)
        compare(func, arguments, varied, eps, atol, rtol, nondet_tol, check_grad_dtypes)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Compares second derivatives with finite differences of the first, for `inputs` and for `grad_outputs`.

    Arguments, results and errors as for `gradcheck`; `grad_outputs` (one Tensor per differentiable output) are random
    normal numbers unless given.

    >>> import retrograd as rg
    >>> x = rg.tensor([0.5, 2.0], dtype=rg.float64, requires_grad=True)
    >>> gradgradcheck(lambda x: x * x * x, (x,))
    True
    """
    refuse(
        "gradgradcheck",
        gen_non_contig_grad_outputs=gen_non_contig_grad_outputs,
        check_fwd_over_rev=check_fwd_over_rev,
        check_batched_grad=check_batched_grad,
        fast_mode=fast_mode,
        masked=masked,
    )
    if not check_rev_over_rev:
        raise NotImplementedError("gradgradcheck: check_rev_over_rev=False leaves nothing to check; leave it out.")
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    with enable_grad():
        outputs = differentiable(func(*arguments))
    if grad_outputs is None:
        draw = np.random.default_rng(0).standard_normal
        cotangents = [with_gradient(like(o, draw(o.shape))) for o in outputs]
    else:
        cotangents = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    varied = [t for t in arguments if isinstance(t, Tensor) and t._node is not None]

    def first_derivatives(*values: Any) -> tuple[Tensor, ...]:
        results = differentiable(func(*values[: len(arguments)]))
        targets = [t for t in values[: len(arguments)] if isinstance(t, Tensor) and t._node is not None]
        with enable_grad():
            found = grad(results, targets, values[len(arguments) :], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    if not outputs or not varied:
        raise ValueError("gradgradcheck: the function has no output that depends on an input that requires a gradient.")
    return gradcheck(
        enable_grad()(first_derivatives),
        (*arguments, *cotangents),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
    )


def refuse(function: str, **options: Any) -> None:
    """Says which checks do not exist here."""
    for name, value in options.items():
        if value:
            raise NotImplementedError(f"{function}: {name}={value!r} is not supported; leave it out.")


def check_inputs(arguments: Sequence[Any], varied: Sequence[Tensor]) -> None:
    """Warns of inputs too coarse for finite differences; refuses those that cannot be varied."""
    if not varied:
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of them does.")
    for i, t in enumerate(arguments):
        if not isinstance(t, Tensor) or t._node is None:
            continue
        if t.dtype != np.float64:
            warnings.warn(f"gradcheck: input {i} is {t.dtype}; finite differences need float64.", stacklevel=4)
        if t.array.size and any(stride == 0 and n > 1 for stride, n in zip(t.array.strides, t.shape)):
            raise RuntimeError(f"gradcheck: input {i} has elements that share memory; give it contiguous().")


def compare(
    func: Function,
    arguments: Sequence[Any],
    varied: Sequence[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_dtypes: bool,
) -> None:
    """Raises GradcheckError at the first Jacobian that is wrong."""
    with enable_grad():
        results = several(func(*arguments))
    outputs = [i for i, o in enumerate(results) if o._node is not None]
    numerical = numerical_jacobians(func, arguments, varied, eps)
    places = [i for i, t in enumerate(arguments) if isinstance(t, Tensor) and t._node is not None]
    for o, rows in enumerate(numerical):
        for i, t, wanted in zip(places, varied, rows):
            if o not in outputs:
                if wanted.any():
                    raise GradcheckError(f"output {o} has no gradient, but depends on input {i}")
                continue
            actual, again = (analytical_jacobian(results[o], t, check_dtypes) for _ in range(2))
            report_mismatch(o, i, wanted, actual, atol, rtol)
            if not np.all(np.abs(actual - again) <= nondet_tol):
                raise GradcheckError(
                    f"Backward is not reentrant: the gradient of output {o} for input {i} differs between two passes "
                    f"by more than nondet_tol={nondet_tol}."
                )


def report_mismatch(output: int, index: int, wanted: Array, actual: Array, atol: float, rtol: float) -> None:
    """Raises with the element that is most wrong, where one is."""
    error = np.abs(actual - wanted) - (atol + rtol * np.abs(wanted))
    if not error.size or np.all(error <= 0):  # a NaN is not <= 0
        return
    row, column = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
    raise GradcheckError(
        f"Jacobian mismatch for output {output} with respect to input {index}, worst at input element {row} and output "
        f"element {column} (flattened):\nnumerical {wanted[row, column]:.9g}, analytical {actual[row, column]:.9g}"
    )


# ---- the two Jacobians, as arrays (elements of the input, elements of the output) on the host


def numerical_jacobians(
    func: Function, arguments: Sequence[Any], varied: Sequence[Tensor], eps: float
) -> list[list[Array]]:
    """Central differences: for every output a Jacobian per input."""
    columns = [list(differences(func, arguments, t, eps)) for t in varied]
    with no_grad():
        sizes = [int(np.prod(o.shape)) for o in several(func(*arguments))]
    return [
        [np.array([row[o] for row in rows], dtype=np.float64).reshape(len(rows), size) for rows in columns]
        for o, size in enumerate(sizes)
    ]


def differences(func: Function, arguments: Sequence[Any], varied: Tensor, eps: float) -> Iterator[list[Array]]:
    """For every element of an input: the slopes of all outputs. The element is changed in place, and restored."""
    xp, array = namespace(varied), varied.array
    start = np.array(xp.to_host(array))
    for place in itertools.product(*map(range, varied.shape)):
        ends = []
        for step in (eps, -eps):
            xp.setitem(array, place or ..., (start[place] + step).item())
            with no_grad():
                ends.append([host(o).copy() for o in several(func(*arguments))])
        xp.setitem(array, place or ..., start[place].item())
        yield [np.ravel((up.astype(np.float64) - down.astype(np.float64)) / (2 * eps)) for up, down in zip(*ends)]


def analytical_jacobian(output: Tensor, varied: Tensor, check_dtype: bool) -> Array:
    """One backward pass for every element of the output."""
    size = int(np.prod(output.shape))
    jacobian = np.zeros((int(np.prod(varied.shape)), size))
    for column in range(size):
        unit = np.zeros(size)
        unit[column] = 1
        (g,) = grad(output, varied, like(output, unit.reshape(output.shape)), retain_graph=True, allow_unused=True)
        if g is None:
            continue
        if g.shape != varied.shape or (check_dtype and g.dtype != varied.dtype):
            raise GradcheckError(
                f"the gradient is {g.dtype} of shape {g.shape}, its input {varied.dtype} of shape {varied.shape}"
            )
        jacobian[:, column] = host(g).ravel()
    return jacobian


def several(result: Any) -> list[Tensor]:
    """The Tensors that a function returned."""
    found = [result] if isinstance(result, Tensor) else list(result)
    if not all(isinstance(t, Tensor) for t in found):
        raise ValueError(f"gradcheck: the function must return Tensors, got {[type(t).__name__ for t in found]}.")
    return found


def differentiable(result: Any) -> list[Tensor]:
    """Those of a function's results that have a graph."""
    return [t for t in several(result) if t._node is not None]


def host(tensor: Tensor) -> Array:
    """The values on the host."""
    return np.asarray(namespace(tensor).to_host(tensor._array))


def like(tensor: Tensor, values: Array) -> Tensor:
    """Values from the host with a Tensor's dtype, beside it on its device."""
    xp = namespace(tensor)
    array = xp.new_zeros(tensor._array, shape=values.shape)
    xp.setitem(array, ..., xp.from_host(np.asarray(values, dtype=tensor.dtype)))
    return make(array)


def with_gradient(tensor: Tensor) -> Tensor:
    """The same Tensor as a leaf that requires a gradient."""
    tensor._node = AccumulateGrad(tensor)
    return tensor
