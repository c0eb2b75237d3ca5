"""Changes in place: `x.name_()` for every function that PyTorch has it for, assignments, and `x += y`.

This module comes after those whose functions it registers. What an in-place change means to views and to the graph is
in autograd/view.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods import arithmetic, comparison, diagonals, elementwise, indexing, products, scan
from retrograd.autograd.methods.registry import FUNCTIONS, in_place, method
from retrograd.autograd.modes import enable_grad
from retrograd.autograd.ops.indexing import assign
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.view import prepare, rehome, touch, writable
from retrograd.backends import device_of

__all__ = ["register"]

SOURCES = (arithmetic, comparison, diagonals, elementwise, indexing, products, scan)
"""Where the functions come from; they are in FUNCTIONS once these are imported."""

xp: Any = ops

# ---- the functions of one tensor, and of a tensor and others

WRITING = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide",
    "abs": "abs", "neg": "negative", "square": "square", "sqrt": "sqrt", "reciprocal": "reciprocal",
    "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2", "log10": "log10", "log1p": "log1p",
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh",
}  # fmt: skip
"""Functions whose backend function of that name writes into its input, where no graph is recorded."""

PLAIN = (
    # elementwise
    "pow", "sign", "sgn", "rsqrt", "sigmoid", "erf", "erfc", "erfinv", "logit", "floor", "ceil", "round", "trunc",
    "fix", "frac", "remainder", "fmod", "floor_divide", "true_divide", "divide", "multiply", "subtract", "clamp",
    "clamp_min", "clamp_max", "clip", "lerp", "addcmul", "addcdiv", "hypot", "atan2", "arctan2", "copysign",
    "nan_to_num", "xlogy", "heaviside", "absolute", "negative", "positive", "sinc", "lgamma", "digamma", "i0",
    "arccos", "arcsin", "arctan", "arccosh", "arcsinh", "arctanh", "deg2rad", "rad2deg", "ldexp", "nextafter",
    "float_power",
    # truth values and bits
    "eq", "ne", "lt", "le", "gt", "ge", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and",
    "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not",
    "bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm",
    # scans and products
    "cumsum", "cumprod", "renorm", "addmm", "addmv", "addr", "baddbmm", "addbmm",
    # parts
    "tril", "triu", "masked_fill", "masked_scatter", "scatter", "scatter_add", "scatter_reduce", "index_add",
    "index_copy", "index_fill", "index_put", "put",
    # activations
    "relu", "relu6", "celu", "elu", "selu", "leaky_relu", "threshold", "hardtanh", "rrelu",
)  # fmt: skip


def register(names: Any) -> None:
    """Gives every function among these names that exists its in-place form."""
    for name in names:
        if name in FUNCTIONS and not hasattr(Tensor, f"{name}_"):
            in_place(FUNCTIONS[name], name=name, ufunc=WRITING.get(name))


register((*WRITING, *PLAIN))


# ---- assignments of a whole tensor


def _like(self: Tensor, number: Any) -> Tensor:
    """A number, or a Tensor of one, in a tensor's dtype on its device."""
    if isinstance(number, Tensor):
        if number.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {number.ndim} dimensions."
            )
        return _moved(number, self)
    try:
        return make(namespace(self).asarray(number, dtype=self.dtype))
    except OverflowError:
        raise RuntimeError(f"value {number} cannot be converted to {self.dtype} without overflow") from None


def _moved(value: Tensor, like: Tensor) -> Tensor:
    place = device_of(like._array)
    return value if device_of(value._array) == place else value.to(place)


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Takes the values of another tensor, which is broadcast, cast and moved to this one's device.

    `non_blocking` permits a copy that does not wait; copies always wait here. RuntimeError where shapes do not fit.
    """
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}")
    if src is self:
        return self
    if src.shape != self.shape:
        _check_broadcast(src, self, "copy_")
    assign(self, _moved(src, self), "copy_")
    return self


def _check_broadcast(value: Tensor, target: Tensor, who: str) -> None:
    lead = target.ndim - value.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(value.shape, target.shape[lead:])):
        raise RuntimeError(f"{who}: shape {value.shape} does not broadcast to the tensor's shape {target.shape}.")


def fill_(self: Tensor, value: Any) -> Tensor:
    """Sets every element to a number, or to a Tensor without dimensions (which receives a gradient)."""
    assign(self, _like(self, value), "fill_")
    return self


def zero_(self: Tensor) -> Tensor:
    """Sets every element to zero."""
    if prepare(self):
        assign(self, _like(self, 0), "zero_")
    else:
        namespace(self).setitem(writable(self, uniform=True), ..., 0)
        touch(self, "zero_")
    return self


def fill_diagonal_(self: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Sets the elements with equal indices to a number; `wrap` starts anew below a tall matrix's end."""
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.ndim > 2 and len(set(self.shape)) > 1:
        raise RuntimeError(f"all dimensions of input must be of equal length, got {list(self.shape)}")
    rows, columns = self.shape[0], self.shape[1]
    if self.ndim == 2 and wrap and rows > columns + 1:
        for start in range(0, rows, columns + 1):
            part = xp.slice_view(self, index=(slice(start, start + columns), ...))
            assign(xp.diagonal(part, axis1=0, axis2=1), _like(self, fill_value), "fill_diagonal_")
        return self
    if self.ndim == 2:
        assign(xp.diagonal(self, axis1=0, axis2=1), _like(self, fill_value), "fill_diagonal_")
        return self
    places = make(namespace(self).arange(rows))
    self[(places,) * self.ndim] = fill_value
    return self


# ---- another shape for the tensor itself


def _reshaping(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """The in-place form of a function that gives a view: the tensor becomes that view of its old self."""

    def changing(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        prepare(self)
        old = make(self._array, self._node, self._stamp)
        with enable_grad():
            view = function(old, *args, **kwargs)
        rehome(self, old, view)
        touch(self, f"{name}_")
        return self

    changing.__name__ = changing.__qualname__ = f"{name}_"
    changing.__doc__ = f"In-place version of `{name}`: the same memory, seen in another shape."
    return changing


for _function in (copy_, fill_, zero_, fill_diagonal_):
    method(_function)
for _name in ("squeeze", "unsqueeze", "transpose", "t", "swapaxes", "swapdims"):
    method(_reshaping(FUNCTIONS[_name], _name), name=f"{_name}_")


# ---- x += y

_OPERATORS = {
    "__iadd__": "add_", "__isub__": "sub_", "__imul__": "mul_", "__itruediv__": "div_",
    "__ifloordiv__": "floor_divide_", "__imod__": "remainder_", "__ipow__": "pow_", "__iand__": "bitwise_and_",
    "__ior__": "bitwise_or_", "__ixor__": "bitwise_xor_", "__ilshift__": "bitwise_left_shift_",
    "__irshift__": "bitwise_right_shift_",
}  # fmt: skip
for _operator, _name in _OPERATORS.items():
    if hasattr(Tensor, _name):
        method(getattr(Tensor, _name), name=_operator)
