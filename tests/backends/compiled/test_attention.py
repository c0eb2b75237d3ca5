"""Compiled attention agrees with NumPy's calls."""

import numpy as np
import pytest

from retrograd.autograd.ops.attention import attend, attention_gradients
from retrograd.backends import numpy as xp
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

SHAPES = (((), 1, 1, 1, 1), ((3,), 5, 7, 4, 2), ((2, 3), 7, 5, 8, 8), ((8, 4), 64, 80, 16, 16))


def both_ways(q: np.ndarray, k: np.ndarray, v: np.ndarray, bias: np.ndarray | None, factors: np.ndarray | None) -> None:
    out, weights, total, _ = same(attend, xp, q, k, v, 0.3, bias, factors, ulps=16)
    (g,) = draws(str(q.dtype), out.shape)
    same(attention_gradients, xp, g, q, k, v, out, weights, total, 0.3, factors, ulps=64)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("lead", "queries", "keys", "d", "e"), SHAPES)
def test_attention_with_a_bias_and_with_dropout(
    dtype: str, lead: tuple[int, ...], queries: int, keys: int, d: int, e: int, threads: int
) -> None:
    scores = (*lead, queries, keys)
    q, k, v, bias, factors = draws(dtype, (*lead, queries, d), (*lead, keys, d), (*lead, keys, e), scores, scores)
    for added in (None, bias, bias[(0,) * len(lead)], bias[..., :1, :], bias[..., :1]):
        both_ways(q, k, v, added, None)
    both_ways(q, k, v, bias, (factors > 0).astype(dtype) * 2)


def test_queries_keys_and_values_may_be_parts_of_one_array(threads: int) -> None:
    packed, g = draws("float32", (6, 65, 3, 4, 8), (6, 65, 4, 8))
    q, k, v = packed.transpose(2, 0, 3, 1, 4)
    both_ways(q, k, v, None, None)
    both_ways(k.swapaxes(-1, -2), v.swapaxes(-1, -2), q.swapaxes(-1, -2), None, None)
    out, weights, total, _ = KERNELS["attend"](xp, q, k, v, 0.3, None, None)
    same(attention_gradients, xp, g.swapaxes(1, 2), q, k, v, out, weights, total, 0.3, None, ulps=64)


def test_a_query_that_sees_nothing_gives_zeros_and_nan_stays_in_its_row() -> None:
    q, k, v = draws("float32", (2, 5, 4), (2, 6, 4), (2, 6, 4))
    bias = np.zeros((5, 6), "float32")
    bias[1], bias[2, 3:] = -np.inf, -np.inf
    both_ways(q, k, v, bias, None)
    assert (KERNELS["attend"](xp, q, k, v, 0.3, bias, None)[0][:, 1] == 0).all()
    q[0, 3, 0] = np.nan
    assert np.isnan(KERNELS["attend"](xp, q, k, v, 0.3, bias, None)[0]).any(-1).nonzero()[1].tolist() == [3]


def test_other_dtypes_and_batches_that_are_broadcast_are_left_to_numpy() -> None:
    q = np.ones((2, 3, 5, 4), "float32")
    rest = 0.5, None, None
    assert KERNELS["attend"](xp, *[q.astype("float16")] * 3, *rest) is NotImplemented
    assert KERNELS["attend"](xp, q, q, q.astype("float64"), *rest) is NotImplemented
    assert KERNELS["attend"](xp, q, q[:1], q[:1], *rest) is NotImplemented
    assert KERNELS["attend"](xp, q[None], q[None], q[None], *rest) is NotImplemented
    assert KERNELS["attend"](xp, q[:, :, :0], q, q, *rest) is NotImplemented
    total = q[..., :1]
    assert KERNELS["attention_gradients"](xp, q.astype("float64"), q, q, q, q, q, total, *rest[:2]) is NotImplemented
