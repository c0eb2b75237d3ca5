"""How much a computation computes, counted from the primitives that it runs.

Multiply–adds are those of products, by these formulas (… stands for all batch dimensions):

matmul, bmm, mv, dot, linear        elements of the result × length of the summed dimension
contraction (einsum)                product of the lengths of all letters
convolution (with_bias)             elements of the result × elements of one filter (in_channels/groups × window)
transposed_convolution              elements of the input × elements of one filter (out_channels/groups × window)
attention                           elements of the scores (… L S) × (E + E_v)
rnn, lstm, gru, lstm_projected      rows (steps × batch) × elements of the weights

FLOPs are two per multiply–add, and besides: one per element of the result for elementwise primitives, one per element
of the input for reductions and scans, elements of the result × elements of the window for pooling, none for primitives
that only move data or compare places. A primitive not named here counts as elementwise.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

from retrograd.autograd.primitive import Primitive
from retrograd.autograd.taps import Taps

__all__ = ["Work", "counting", "flops", "multiply_adds"]

Arrays = tuple[Any, ...]
Work = Callable[[Primitive, Arrays, dict[str, Any], Any], None]
"""Called after every run of a primitive with it, its arrays, its static parameters and its result."""
Formula = Callable[[Arrays, dict[str, Any], Any], int]

_MOVING = """
add_at_places astype broadcast_to cleared concat copy diagonal embedding expand_dims flip index_fill index_put
new_zeros on_diagonal pad permute_dims pick picked pieces placed put_along_axis put_at_places put_back replaced
reshape roll shifted slice_view slices squeeze stack take_along_axis take_at_places to_device tril triu unfold
write_view
"""
_REDUCING = """
all any argmax argmin count_nonzero cumulative_max_places cumulative_prod cumulative_sum logcumsumexp logsumexp max
mean median min prod std sum sum_of_squares var vector_norm
"""
MOVING, REDUCING = frozenset(_MOVING.split()), frozenset(_REDUCING.split())


def _elements(array: Any) -> int:
    return int(array.size)


def _product(arrays: Arrays, static: dict[str, Any], out: Any) -> int:
    return _elements(out) * int(arrays[0].shape[-1])


def _contraction(arrays: Arrays, static: dict[str, Any], out: Any) -> int:
    letters = static["equation"].replace(" ", "").partition("->")[0].split(",")
    lengths = {letter: int(n) for part, array in zip(letters, arrays) for letter, n in zip(part, array.shape)}
    return math.prod(lengths.values())


def _attention(arrays: Arrays, static: dict[str, Any], out: Any) -> int:
    q, k, v = arrays[:3]
    return _elements(out) // max(int(v.shape[-1]), 1) * int(k.shape[-2]) * int(q.shape[-1] + v.shape[-1])


def _filters(arrays: Arrays, static: dict[str, Any], out: Any) -> int:
    return _elements(out) * _elements(arrays[1]) // int(arrays[1].shape[0])


def _transposed_filters(arrays: Arrays, static: dict[str, Any], out: Any) -> int:
    return _elements(arrays[0]) * _elements(arrays[1]) // int(arrays[1].shape[0])


def _recurrent(*weights: int) -> Formula:
    """These are the places of the weights, by which every row is multiplied."""
    return lambda arrays, static, out: int(arrays[0].shape[0]) * sum(_elements(arrays[i]) for i in weights)


PRODUCTS: dict[str, Formula] = {
    **dict.fromkeys(("matmul", "bmm", "mv", "dot", "linear"), _product),
    **dict.fromkeys(("convolution", "convolution_with_bias"), _filters),
    "transposed_convolution": _transposed_filters,
    "contraction": _contraction,
    "attention": _attention,
    "rnn": _recurrent(2, 3),
    "gru": _recurrent(2, 3),
    "lstm": _recurrent(3, 4),
    "lstm_projected": _recurrent(3, 4, 6),
}


def multiply_adds(primitive: Primitive, arrays: Arrays, static: dict[str, Any], out: Any) -> int:
    """Of one run of a primitive, by the formulas above."""
    formula = PRODUCTS.get(primitive.name)
    return 0 if formula is None else formula(arrays, static, out)


def flops(primitive: Primitive, arrays: Arrays, static: dict[str, Any], out: Any) -> int:
    """Of one run of a primitive: two per multiply–add, and what the others compute element by element."""
    name = primitive.name
    if name in PRODUCTS:
        return 2 * multiply_adds(primitive, arrays, static, out)
    if name in MOVING or primitive.view:
        return 0
    if name in REDUCING:
        return _elements(arrays[0]) if arrays else 0
    windows = static.get("windows")
    return _elements(out) * (1 if windows is None else math.prod(windows.size))


_one_at_a_time = threading.RLock()


@contextlib.contextmanager
def counting(note: Work) -> Iterator[None]:
    """Within the block `note` hears of every primitive that this thread runs on arrays."""
    taps = Taps()

    def ran(primitive: Primitive, kernel: Callable[..., Any], arrays: Arrays, static: dict[str, Any]) -> Any:
        result = kernel(*arrays, **static)
        out = result[0] if primitive.residuals or primitive.outputs else result
        note(primitive, arrays, static, out[0] if primitive.residuals and primitive.outputs else out)
        return result

    with _one_at_a_time:
        try:
            taps.kernels(ran)
            yield
        finally:
            taps.close()
