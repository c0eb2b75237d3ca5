"""Special and integer-valued elementwise functions: gamma's family, entropy terms, divisors, powers of two."""

from __future__ import annotations

import math
import operator
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.registry import in_place, method, public
from retrograd.autograd.promotion import result_type
from retrograd.autograd.tensor import Tensor

__all__: list[str] = []

_ops: Any = ops


def lgamma(input: Tensor) -> Tensor:
    """log |Γ(x)|. Integers are computed in the default float dtype.

    >>> import retrograd as rg
    >>> rg.lgamma(rg.tensor([1.0, 5.0]))
    tensor([0.0000, 3.1781])
    """
    return _ops.lgamma(input)  # type: ignore[no-any-return]


def digamma(input: Tensor) -> Tensor:
    """Γ′(x)/Γ(x). Integers are computed in the default float dtype.

    >>> import retrograd as rg
    >>> rg.digamma(rg.tensor([1.0, 0.5]))
    tensor([-0.5772, -1.9635])
    """
    return _ops.digamma(input)  # type: ignore[no-any-return]


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma. RuntimeError for a negative n.

    >>> import retrograd as rg
    >>> rg.polygamma(1, rg.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    order = operator.index(n)
    if order < 0:
        raise RuntimeError(f"polygamma: n must be 0 or more, got {n}.")
    return _ops.polygamma(input, n=order) if order else _ops.digamma(input)  # type: ignore[no-any-return]


def mvlgamma(input: Tensor, p: int) -> Tensor:
    """log of the multivariate gamma function of dimension p: p(p−1)/4 log π + Σᵢ log Γ(x − i/2), i < p.

    RuntimeError for a p below 1.

    >>> import retrograd as rg
    >>> rg.mvlgamma(rg.tensor([2.0]), 2)
    tensor([0.4516])
    """
    if p < 1:
        raise RuntimeError(f"mvlgamma: p has to be greater than or equal to 1, got {p}.")
    terms = _ops.lgamma(input)
    for i in range(1, p):
        terms = terms + _ops.lgamma(input - i / 2)
    return terms + p * (p - 1) / 4 * math.log(math.pi)  # type: ignore[no-any-return]


def erfinv(input: Tensor) -> Tensor:
    """The inverse of the error function: infinite at ±1, NaN beyond.

    >>> import retrograd as rg
    >>> rg.erfinv(rg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4769])
    """
    return _ops.erfinv(input)  # type: ignore[no-any-return]


def sinc(input: Tensor) -> Tensor:
    """sin(πx)/(πx), and 1 at 0. Integers are computed in the default float dtype.

    >>> import retrograd as rg
    >>> rg.sinc(rg.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    zero = _ops.equal(input, 0)
    angle = _ops.where(zero, 1.0, input * math.pi)
    return _ops.where(zero, 1.0, _ops.sin(angle) / angle)  # type: ignore[no-any-return]


def xlogy(input: Any, other: Any) -> Tensor:
    """x log y, and 0 where x is 0 (NaN where y is NaN). Integers are computed in the default float dtype.

    >>> import retrograd as rg
    >>> rg.xlogy(rg.tensor([0.0, 2.0]), rg.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    x, y = (v if isinstance(v, Tensor) else _like(v, w) for v, w in ((input, other), (other, input)))
    vanishes = _ops.equal(x, 0) & _ops.equal(y, y)
    return _ops.where(vanishes, 0.0, x * _ops.log(_ops.where(vanishes, 1.0, y)))  # type: ignore[no-any-return]


def _like(number: Any, tensor: Tensor) -> Tensor:
    """A number as a 0-d Tensor on another's device, with the dtype of their combination."""
    return tensor.new_tensor(number, dtype=result_type(tensor, number))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """The step function: 0 below 0, 1 above, and `values` at 0. Carries no gradient.

    RuntimeError for operands of two dtypes.

    >>> import retrograd as rg
    >>> rg.heaviside(rg.tensor([-1.0, 0.0, 2.0]), rg.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    if input.dtype != values.dtype:
        raise RuntimeError(f"heaviside: input and values must have one dtype, got {input.dtype} and {values.dtype}.")
    x = input.detach()
    step = _ops.astype(_ops.greater(x, 0), dtype=x.dtype)
    return _ops.where(_ops.equal(x, 0), values.detach(), step)  # type: ignore[no-any-return]


def ldexp(input: Tensor, other: Any) -> Tensor:
    """input · 2ᵒᵗʰᵉʳ.

    >>> import retrograd as rg
    >>> rg.ldexp(rg.tensor([1.0, 3.0]), rg.tensor([2, -1]))
    tensor([4.0000, 1.5000])
    """
    return input * _ops.power(2.0, other)  # type: ignore[no-any-return]


def _integers(name: str, input: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitudes of two integers of a common dtype."""
    kind = result_type(input, other)
    if kind.kind not in "iu":
        raise NotImplementedError(f"{name}: the operands must be integers, got {input.dtype} and {other.dtype}.")
    return _ops.abs(_ops.astype(input, dtype=kind)), _ops.abs(_ops.astype(other, dtype=kind))


def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisor of integers, by Euclid's algorithm; 0 for two zeros.

    NotImplementedError for operands that are no integers.

    >>> import retrograd as rg
    >>> rg.gcd(rg.tensor([12, 7]), rg.tensor([18, 3]))
    tensor([6, 1])
    """
    x, y = _integers("gcd", input, other)
    x, y = x + y * 0, y + x * 0
    while bool(_ops.any(y)):
        done = _ops.equal(y, 0)
        rest = _ops.remainder(x, _ops.where(done, 1, y))
        x, y = _ops.where(done, x, y), _ops.where(done, 0, rest)
    return x


def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiple of integers; 0 where one is 0. NotImplementedError for operands that are no integers.

    >>> import retrograd as rg
    >>> rg.lcm(rg.tensor([4, 7]), rg.tensor([6, 3]))
    tensor([12, 21])
    """
    x, y = _integers("lcm", input, other)
    divisor = gcd(input, other)
    return _ops.floor_divide(x, _ops.where(_ops.equal(divisor, 0), 1, divisor)) * y  # type: ignore[no-any-return]


for _function in (lgamma, digamma, mvlgamma, erfinv, sinc, xlogy, heaviside, ldexp, gcd, lcm):
    public(_function)
    in_place(_function)
public(polygamma, method=False)


def _polygamma(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of digamma."""
    return polygamma(n, self)


method(_polygamma, name="polygamma")
in_place(_polygamma, name="polygamma")
