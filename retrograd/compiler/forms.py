"""Calls of NumPy as expressions that numba compiles, element by element.

Arithmetic is written out, so that it rounds as NumPy's does; exp and tanh are those of `backends/numba/exponential.py`.
Logarithms, error functions and the like have no form here: compiled, they would not run on vectors.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from retrograd.backends import numpy as xp
from retrograd.compiler.operations import Operation, Value
from retrograd.compiler.unfold import keep

__all__ = ["FLOATS", "KINDS", "functions", "kinds", "translated"]

FORMS: dict[Any, str] = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.absolute: "abs({0})",
    np.fabs: "abs({0})",
    np.square: "{0} * {0}",
    np.reciprocal: "{kind}(1) / {0}",
    np.sqrt: "sqrt({0})",
    np.exp: "exp({0})",
    np.tanh: "tanh({0})",
    np.sign: "{0} if {0} != {0} else {kind}({0} > {kind}(0)) - {kind}({0} < {kind}(0))",
    np.maximum: "{0} if ({0} >= {1}) | ({0} != {0}) else {1}",
    np.minimum: "{0} if ({0} <= {1}) | ({0} != {0}) else {1}",
    np.fmax: "{0} if ({0} >= {1}) | ({1} != {1}) else {1}",
    np.fmin: "{0} if ({0} <= {1}) | ({1} != {1}) else {1}",
    np.less: "{0} < {1}",
    np.less_equal: "{0} <= {1}",
    np.greater: "{0} > {1}",
    np.greater_equal: "{0} >= {1}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.isnan: "{0} != {0}",
    np.isinf: "abs({0}) == {kind}(inf)",
    np.isfinite: "abs({0}) < {kind}(inf)",
    np.logical_and: "bool({0}) & bool({1})",
    np.logical_or: "bool({0}) | bool({1})",
    np.logical_xor: "bool({0}) != bool({1})",
    np.logical_not: "not {0}",
    np.bitwise_and: "{0} & {1}",
    np.bitwise_or: "{0} | {1}",
    np.bitwise_xor: "{0} ^ {1}",
    np.where: "{1} if {0} else {2}",
    keep: "{0} if {1} else {kind}(0)",
    xp.astype: "{0}",  # operands are converted where they are not of that type
}
"""Functions as expressions in their operands, which have the type `kind`."""
FLOATS = ("float32", "float64")
KINDS = {**{np.dtype(name): name for name in (*FLOATS, "int64")}, np.dtype(bool): "bool"}
FLOATING = frozenset({xp.astype, np.reciprocal, np.sqrt, np.exp, np.tanh, np.fabs, np.isinf, np.isfinite})
"""Functions whose forms are those of floats alone."""
NOT_BOOL = frozenset({np.add, np.multiply, np.absolute, np.square, np.maximum, np.minimum, np.fmax, np.fmin, np.sign})


def kinds(call: Operation) -> list[str]:
    """The types in which a call takes its operands; none where it has no form for them."""
    given = [type(a) if type(a) in (int, float) else getattr(a, "dtype", np.dtype(type(a))) for a in call.args]
    if call.function is np.where:
        found = [np.dtype(bool), call.outs.dtype, call.outs.dtype]
    elif call.function is keep:
        found = [call.outs.dtype, np.dtype(bool)]
    elif call.function is xp.astype:
        found = [call.outs.dtype]
    else:
        found = list(call.function.resolve_dtypes((*given, *[None] * call.function.nout)))[: len(given)]
    names = [KINDS.get(kind, "") for kind in found]
    if call.function not in FORMS or not all(names) or any(v.dtype not in KINDS for v in (call.outs, *call.used())):
        return []
    if (call.function in FLOATING and names[0] not in FLOATS) or (call.function in NOT_BOOL and names[0] == "bool"):
        return []
    return names


def literal(a: Any, kind: str) -> str:
    """A constant."""
    number = a.item() if isinstance(a, (np.generic, np.ndarray)) else a
    return f"{kind}({float(number) if kind in FLOATS else number!r})"  # inf and nan are names that loops know


def translated(call: Operation, names: dict[int, str]) -> str:
    """A call as an expression in the names of its operands."""
    taken = kinds(call)
    operands = []
    for a, kind in zip(call.args, taken, strict=True):
        if not isinstance(a, Value):
            operands.append(literal(a, kind))
        elif KINDS.get(a.dtype) == kind:
            operands.append(names[a.number])
        else:
            operands.append(f"{kind}({names[a.number]})")
    return FORMS[call.function].format(*operands, kind=taken[0])


@functools.cache
def functions() -> dict[str, Any]:
    """What loops call by name."""
    import numba

    from retrograd.backends.numba.exponential import exp, tanh

    def plus(a: float, b: float) -> float:
        return a + b

    # sums alone may be taken in another order; only then they run on vectors
    added = numba.njit(nogil=True, fastmath={"reassoc", "nsz"})(plus)
    kinds = {name: getattr(np, name) for name in (*FLOATS, "int64")}
    return {"__name__": __name__, **kinds, "sqrt": math.sqrt, "exp": exp, "tanh": tanh, "plus": added,
            "inf": math.inf, "nan": math.nan}  # fmt: skip
