"""Elementwise functions with options: arithmetic, bounds, choice, interpolation, rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import checked_dtype, dimension
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.promotion import result_type
from retrograd.autograd.tensor import Tensor, make, namespace

__all__: list[str] = []

_ops: Any = ops
Number = bool | int | float


# ---- sums, differences, products, quotients, powers


def add(input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    """input + alpha · other.

    Operands are Tensors whose shapes broadcast, or numbers; the result has their common dtype. RuntimeError for an
    alpha that the result's dtype cannot hold.

    >>> import retrograd as rg
    >>> rg.add(rg.tensor([1.0, 2.0]), rg.tensor([10.0, 20.0]), alpha=2)
    tensor([21., 42.])
    """
    return _ops.add(input, other if _is_one(alpha) else _scaled("add", input, other, alpha))  # type: ignore[no-any-return]


def sub(input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    """input - alpha · other, as in `add`. RuntimeError for truth values.

    >>> import retrograd as rg
    >>> rg.sub(rg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    return _ops.subtract(input, other if _is_one(alpha) else _scaled("sub", input, other, alpha))  # type: ignore[no-any-return]


def rsub(input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    """other - alpha · input.

    >>> import retrograd as rg
    >>> rg.rsub(rg.tensor([1.0, 2.0]), 1)
    tensor([ 0., -1.])
    """
    return sub(other, input, alpha=alpha)


def _is_one(factor: Any) -> bool:
    """Whether a factor is the default one."""
    return factor.__class__ is int and factor == 1


def _scaled(name: str, input: Any, other: Any, alpha: Any) -> Any:
    """alpha · other; RuntimeError where alpha's kind is above the result's."""
    if not isinstance(alpha, (bool, int, float)):
        raise TypeError(f"{name}: alpha must be a number, got {type(alpha).__name__} {alpha!r}.")
    kind = result_type(input, other).kind
    if isinstance(alpha, bool) and kind != "b":
        raise RuntimeError(f"{name}: a boolean alpha is only supported for boolean results; give a number.")
    if isinstance(alpha, float) and kind != "f":
        raise RuntimeError(
            f"{name}: for integral input tensors alpha must not be a floating point number, got {alpha}."
        )
    return _ops.multiply(other, alpha) if isinstance(other, Tensor) else other * alpha


def mul(input: Any, other: Any) -> Tensor:
    """input · other: Tensors whose shapes broadcast, or numbers; the result has their common dtype.

    >>> import retrograd as rg
    >>> rg.mul(rg.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return _ops.multiply(input, other)  # type: ignore[no-any-return]


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; with `rounding_mode` "trunc" rounded towards 0, with "floor" downwards (the gradient is then 0).

    Without a rounding mode integers are divided in the default float dtype; with one they stay integers, and dividing
    them by 0 is a RuntimeError.

    >>> import retrograd as rg
    >>> rg.div(rg.tensor([7, -7]), 2), rg.div(rg.tensor([7, -7]), 2, rounding_mode="trunc")
    (tensor([ 3.5000, -3.5000]), tensor([ 3, -3]))
    """
    if rounding_mode is None:
        return _ops.divide(input, other)  # type: ignore[no-any-return]
    if rounding_mode == "floor":
        return _ops.floor_divide(input, other)  # type: ignore[no-any-return]
    if rounding_mode == "trunc":
        if result_type(input, other).kind == "f":
            return _ops.trunc(_ops.divide(input, other))  # type: ignore[no-any-return]
        return _ops.floor_divide(_ops.subtract(input, _ops.fmod(input, other)), other)  # type: ignore[no-any-return]
    raise RuntimeError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}.")


def pow(input: Any, exponent: Any) -> Tensor:
    """input to a power: each a Tensor, or one of them a number.

    RuntimeError for integers to a negative integer power.

    >>> import retrograd as rg
    >>> rg.pow(rg.tensor([2.0, 3.0]), 2), rg.pow(2, rg.tensor([2.0, 3.0]))
    (tensor([4., 9.]), tensor([4., 8.]))
    """
    if exponent.__class__ in (int, float) and isinstance(input, Tensor):
        return _ops.power_number(input, exponent=exponent)  # type: ignore[no-any-return]
    return _ops.power(input, exponent)  # type: ignore[no-any-return]


def float_power(input: Any, exponent: Any) -> Tensor:
    """input to a power, computed in float64.

    >>> import retrograd as rg
    >>> rg.float_power(rg.tensor([2, 3]), 2)
    tensor([4., 9.], dtype=rg.float64)
    """
    double = np.dtype(np.float64)
    return pow(*[_ops.astype(t, dtype=double) if isinstance(t, Tensor) else t for t in (input, exponent)])


# ---- bounds and choice


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input held between min and max: numbers, Tensors that broadcast, or None for no bound.

    The gradient goes to the input where it lies within the bounds, these included, else to the bound. Where min exceeds
    max the result is max. RuntimeError when both are None.

    >>> import retrograd as rg
    >>> rg.clamp(rg.tensor([-1.0, 0.5, 3.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("clamp: give min, max or both; neither was.")
    if not isinstance(min, Tensor) and not isinstance(max, Tensor):
        if input.dtype.kind != "f":
            dtype = result_type(*[operand for operand in (input, min, max) if operand is not None])
            input = input if input.dtype == dtype else _ops.astype(input, dtype=dtype)
        return _ops.clip(input, min=min, max=max)  # type: ignore[no-any-return]
    if min is None:
        return _ops.clamp_max(input, max)  # type: ignore[no-any-return]
    if max is None:
        return _ops.clamp_min(input, min)  # type: ignore[no-any-return]
    return _ops.clamp_between(input, min, max)  # type: ignore[no-any-return]


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """input held above min.

    >>> import retrograd as rg
    >>> rg.clamp_min(rg.tensor([-1.0, 3.0]), 0)
    tensor([0., 3.])
    """
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """input held below max.

    >>> import retrograd as rg
    >>> rg.clamp_max(rg.tensor([-1.0, 3.0]), 0)
    tensor([-1.,  0.])
    """
    return clamp(input, max=max)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; with the condition alone, the indices where it holds.

    condition: a boolean Tensor; input and other: Tensors or numbers; all broadcast. RuntimeError for a condition of
    another dtype.

    >>> import retrograd as rg
    >>> x = rg.tensor([-1.0, 2.0])
    >>> rg.where(x > 0, x, 0.0), rg.where(x > 0)
    (tensor([0., 2.]), (tensor([1]),))
    """
    if input is None and other is None:
        if not isinstance(condition, Tensor):
            raise TypeError(f"where: the condition must be a Tensor, got {type(condition).__name__}.")
        xp, array = namespace(condition), condition.array
        return tuple(make(index) for index in xp.nonzero(array if array.ndim else xp.reshape(array, (1,))))
    if input is None or other is None:
        raise TypeError("where: give both values, or the condition alone.")
    return _ops.where(condition, input, other)


def _where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """This tensor where the condition holds, else other."""
    return where(condition, self, other)  # type: ignore[no-any-return]


# ---- of several Tensors


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight (end - input): weight a number or a Tensor; all broadcast, in one floating dtype.

    RuntimeError for different dtypes.

    >>> import retrograd as rg
    >>> rg.lerp(rg.tensor([0.0, 10.0]), rg.tensor([1.0, 20.0]), 0.5)
    tensor([ 0.5000, 15.0000])
    """
    for name, operand in (("end", end), ("weight", weight)):
        if isinstance(operand, Tensor) and operand.dtype != input.dtype:
            raise RuntimeError(f"lerp: expected dtype {input.dtype} for `{name}` but got dtype {operand.dtype}.")
    if input.dtype.kind != "f":
        raise NotImplementedError(f"lerp: not possible for {input.dtype}; cast it to a floating dtype.")
    return _ops.lerp(input, end, weight)  # type: ignore[no-any-return]


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Number = 1) -> Tensor:
    """input + value · tensor1 · tensor2, broadcast.

    >>> import retrograd as rg
    >>> rg.addcmul(rg.tensor([1.0]), rg.tensor([2.0]), rg.tensor([3.0]), value=10)
    tensor([61.])
    """
    if isinstance(value, float) and result_type(input, tensor1, tensor2).kind != "f":
        raise RuntimeError(
            f"addcmul: for integral input tensors value must not be a floating point number, got {value}."
        )
    product = _ops.multiply(tensor1, tensor2)
    return _ops.add(input, product if _is_one(value) else _ops.multiply(product, value))  # type: ignore[no-any-return]


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Number = 1) -> Tensor:
    """input + value · tensor1 / tensor2, broadcast. RuntimeError for integers.

    >>> import retrograd as rg
    >>> rg.addcdiv(rg.tensor([1.0]), rg.tensor([6.0]), rg.tensor([3.0]), value=10)
    tensor([21.])
    """
    if result_type(tensor1, tensor2).kind != "f":
        raise RuntimeError("addcdiv: integers cannot be divided here; cast tensor1 or tensor2 to a floating dtype.")
    quotient = _ops.divide(tensor1, tensor2)
    return _ops.add(input, quotient if _is_one(value) else _ops.multiply(quotient, value))  # type: ignore[no-any-return]


# ---- rounding and repair


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, of two equally near ones the even; or the nearest multiple of 10 to the power -decimals.

    NotImplementedError for integers with `decimals`. The gradient is 0.

    >>> import retrograd as rg
    >>> rg.round(rg.tensor([0.5, 1.5, 2.126])), rg.round(rg.tensor([2.126]), decimals=2)
    (tensor([0., 2., 2.]), tensor([2.1300]))
    """
    if decimals == 0:
        return _ops.round(input)  # type: ignore[no-any-return]
    if input.dtype.kind != "f":
        raise NotImplementedError(f"round: decimals={decimals} is not possible for {input.dtype}; cast it to a float.")
    scale = 10.0**-decimals if decimals < 0 else 10.0**decimals
    if decimals > 0:
        return _ops.divide(_ops.round(_ops.multiply(input, scale)), scale)  # type: ignore[no-any-return]
    return _ops.multiply(_ops.round(_ops.divide(input, scale)), scale)  # type: ignore[no-any-return]


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """input with NaN replaced by 0 and infinities by the dtype's largest numbers, or by what is given.

    >>> import retrograd as rg
    >>> rg.nan_to_num(rg.tensor([float("nan"), 1.0, float("inf")]), posinf=9.0)
    tensor([0., 1., 9.])
    """
    if input.dtype.kind != "f":
        return _ops.copy(input)  # type: ignore[no-any-return]
    limits: Any = np.finfo(input.dtype)
    return _ops.nan_to_num(  # type: ignore[no-any-return]
        input,
        nan=0.0 if nan is None else float(nan),
        posinf=float(limits.max) if posinf is None else float(posinf),
        neginf=float(limits.min) if neginf is None else float(neginf),
    )


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), x being held eps away from 0 and 1 if eps is given; else NaN outside [0, 1].

    >>> import retrograd as rg
    >>> rg.logit(rg.tensor([0.5, 0.75]))
    tensor([0.0000, 1.0986])
    """
    return _ops.logit(input, eps=eps)  # type: ignore[no-any-return]


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, else weight · x (He et al. 2015).

    weight: (1,), or (channels,) for input (batch, channels, *).

    >>> import retrograd as rg
    >>> rg.prelu(rg.tensor([2.0, -2.0]), rg.tensor([0.25]))
    tensor([ 2.0000, -0.5000])
    """
    if weight.ndim == 1 and weight.shape[0] != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.shape[0] != channels:
            raise RuntimeError(f"prelu: {weight.shape[0]} weights do not fit input {input.shape}: {channels} channels")
        weight = _ops.reshape(weight, shape=(-1, *[1] * (input.ndim - 2)))
    elif weight.ndim > 1:
        raise RuntimeError(f"prelu: expected `weight` to be a scalar or 1D tensor, got shape {weight.shape}")
    elif input.ndim == 0:
        weight = _ops.reshape(weight, shape=())
    return _ops.where(input > 0, input, weight * input)  # type: ignore[no-any-return]


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x outside of [−lambd, lambd], 0 inside.

    >>> import retrograd as rg
    >>> rg.hardshrink(rg.tensor([1.0, 0.3]))
    tensor([1., 0.])
    """
    return _ops.hardshrink(input, lambd=lambd)  # type: ignore[no-any-return]


# ---- along a dimension


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) / Σ exp(x) along a dimension, without overflow; computed in `dtype` if given.

    NotImplementedError for integers without a dtype, IndexError for a dimension that does not exist.

    >>> import retrograd as rg
    >>> rg.softmax(rg.tensor([[0.0, 0.0], [0.0, 1.0]]), dim=1)
    tensor([[0.5000, 0.5000],
            [0.2689, 0.7311]])
    """
    return _normalised("softmax", input, dim, dtype)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax`, accurate where that is tiny; same arguments and errors.

    >>> import retrograd as rg
    >>> rg.log_softmax(rg.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _normalised("log_softmax", input, dim, dtype)


def _normalised(name: str, input: Tensor, dim: int, dtype: Any) -> Tensor:
    axis = dimension(dim, input.ndim)
    if dtype is not None:
        input = _ops.astype(input, dtype=checked_dtype(dtype))
    if input.dtype.kind != "f":
        raise NotImplementedError(f"{name}: not possible for {input.dtype}; cast it, or pass dtype=rg.float32.")
    if not input._array.size:
        return _ops.copy(input)  # type: ignore[no-any-return]
    return getattr(_ops, name)(input, axis=axis if input.ndim else None)  # type: ignore[no-any-return]


for _function, *_aliases in (
    (add,), (sub, "subtract"), (rsub,), (mul, "multiply"), (div, "divide"), (pow,), (float_power,), (clamp, "clip"),
    (clamp_min,), (clamp_max,), (lerp,), (addcmul,), (addcdiv,), (round,), (nan_to_num,), (logit,), (softmax,),
    (log_softmax,), (prelu,), (hardshrink,),
):  # fmt: skip
    for _name in (_function.__name__, *_aliases):
        public(_function, name=_name)


def true_divide(input: Any, other: Any) -> Tensor:
    """input / other, integers in the default float dtype.

    >>> import retrograd as rg
    >>> rg.true_divide(rg.tensor([7, 8]), 2)
    tensor([3.5000, 4.0000])
    """
    return _ops.divide(input, other)  # type: ignore[no-any-return]


public(true_divide)
public(where, method=False)
method(_where, name="where")
