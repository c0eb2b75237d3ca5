"""cuBLAS called directly, as captured kernels need it: the products are numpy.matmul's, whatever the order in memory.

On the strict device the library is a twin that follows the same pointers on the host (tests/strict_cupy/cublas.py).
"""

import itertools

import numpy as np
import pytest

from retrograd.backends import backend_of
from tests.strict_cupy.plugin import LIBRARY, graphs_of
from tests.strict_cupy.rules import StrictError

DTYPES = (np.float16, np.float32, np.float64)
TOLERANCE = {np.float16: 2e-3, np.float32: 2e-6, np.float64: 1e-14}
SHAPES = {
    "matrices": ((3, 4), (4, 5)),
    "a row": ((1, 4), (4, 5)),
    "a column": ((3, 4), (4, 1)),
    "an outer product": ((3, 1), (1, 5)),
    "one number": ((1, 1), (1, 1)),
    "nothing summed": ((3, 0), (0, 5)),
    "nothing": ((0, 4), (4, 5)),
    "vectors": ((4,), (4,)),
    "a vector on the left": ((4,), (4, 5)),
    "a vector on the right": ((3, 4), (4,)),
    "a vector and a batch": ((4,), (2, 4, 5)),
    "a batch and a vector": ((2, 3, 4), (4,)),
    "batches": ((2, 3, 4), (2, 4, 5)),
    "a batch by one matrix": ((2, 3, 4), (4, 5)),
    "one matrix by a batch": ((3, 4), (2, 4, 5)),
    "rows by one matrix": ((6, 1, 4), (4, 5)),
    "two batch dimensions": ((2, 6, 3, 4), (2, 6, 4, 5)),
    "batches that broadcast": ((2, 1, 3, 4), (6, 4, 5)),
    "batches that broadcast both ways": ((2, 1, 3, 4), (1, 6, 4, 5)),
    "an empty batch": ((0, 3, 4), (0, 4, 5)),
}


@pytest.fixture
def products(gpu):
    """The handle, in the default stream."""
    graphs = graphs_of(gpu)
    made = graphs.Products()
    made.use(graphs.cp.cuda.get_current_stream())
    return made


def as_it_is(a):
    return a


def by_columns(a):
    return np.asfortranarray(a) if a.ndim < 3 else np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2)


def with_gaps(a):
    if a.ndim < 2:
        return a
    wide = np.zeros((*a.shape[:-2], a.shape[-2] + 1, a.shape[-1] + 3), a.dtype)
    wide[..., :-1, :-3] = a
    return wide


def cut(x, shape):
    """The array that `with_gaps` has put into a larger one."""
    return x[..., : shape[-2], : shape[-1]] if len(shape) > 1 and tuple(x.shape) != shape else x


def batch_inside(a):
    """The first dimension of a batch lies between rows and columns, as the heads of attention do."""
    return np.ascontiguousarray(np.moveaxis(a, 0, -2)) if a.ndim > 2 else a


def numbers(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def wanted(a, b):
    wide = np.float32 if a.dtype == np.float16 else a.dtype
    return np.asarray(np.matmul(a.astype(wide), b.astype(wide))).astype(a.dtype)


def close(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    tolerance = TOLERANCE[found.dtype.type]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("what", SHAPES)
def test_products_are_numpys_for_every_order_in_memory(products, gpu, rng, what, dtype):
    xp = backend_of(gpu)
    a, b = (numbers(rng, shape, dtype) for shape in SHAPES[what])
    for left, right in itertools.product((as_it_is, by_columns, with_gaps), repeat=2):
        x, y = (cut(in_order(xp, made(array)), array.shape) for made, array in ((left, a), (right, b)))
        assert (tuple(x.shape), tuple(y.shape)) == (a.shape, b.shape)
        close(xp.to_host(products.matmul(x, y)), wanted(a, b))


def in_order(xp, array):
    """A device array whose strides are those of the host's."""
    if array.flags.c_contiguous:
        return xp.from_host(array)
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    dense = xp.from_host(np.ascontiguousarray(array.transpose(axes)))
    return xp.permute_dims(dense, tuple(int(axis) for axis in np.argsort(axes)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_heads_between_rows_and_columns_are_a_batch(products, gpu, rng, dtype):
    xp = backend_of(gpu)
    q, k = (numbers(rng, (2, 5, 3, 4), dtype) for _ in range(2))  # (batch, length, heads, features)
    x, y = (xp.permute_dims(xp.from_host(a), (0, 2, 1, 3)) for a in (q, k))
    scores = products.matmul(x, xp.permute_dims(y, (0, 1, 3, 2)))
    q, k = q.swapaxes(1, 2), k.swapaxes(1, 2)
    close(xp.to_host(scores), wanted(q, k.swapaxes(2, 3)))


def test_views_backwards_and_overlapping_windows_are_copied_first(products, gpu, rng):
    xp = backend_of(gpu)
    a, b = numbers(rng, (5, 4), np.float64), numbers(rng, (9,), np.float64)
    backwards, windows = xp.flip(xp.from_host(a), axis=0), xp.sliding_window_view(xp.from_host(b), (3,), (0,))
    expected = wanted(a[::-1].T, a[::-1])
    close(xp.to_host(products.matmul(xp.permute_dims(backwards, (1, 0)), backwards)), expected)
    close(xp.to_host(products.matmul(windows, xp.permute_dims(windows, (1, 0)))), _windows_squared(b))


def _windows_squared(b):
    windows = np.lib.stride_tricks.sliding_window_view(b, 3)
    return windows @ windows.T


def test_a_result_can_be_written_where_it_belongs(products, gpu, rng):
    xp = backend_of(gpu)
    a, b = numbers(rng, (2, 3, 4), np.float32), numbers(rng, (2, 4, 5), np.float32)
    out = xp.zeros((2, 3, 5), dtype=np.float32)
    assert products.matmul(xp.from_host(a), xp.from_host(b), out) is out
    close(xp.to_host(out), wanted(a, b))


def test_shapes_that_do_not_fit_raise(products, gpu):
    xp = backend_of(gpu)
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 3\)"):
        products.matmul(xp.ones((2, 3)), xp.ones((2, 3)))


# ---- what is asked of the library: seen on its twin alone


@pytest.fixture
def twin():
    graphs = graphs_of("strict:0")
    with graphs.cp.cuda.Stream(non_blocking=True) as stream:
        made = graphs.Products()
        made.use(stream)
        LIBRARY.calls.clear()
        yield made


@pytest.fixture
def strict():
    return backend_of("strict:0")


def test_a_transposed_operand_is_read_where_it_lies(twin, strict):
    x, y = strict.ones((3, 4), dtype=np.float32), strict.ones((5, 4), dtype=np.float32)
    twin.matmul(x, strict.permute_dims(y, (1, 0)))
    ((name, turned, lengths, places, computed),) = LIBRARY.calls
    assert (name, turned, lengths) == ("cublasGemmEx", (1, 0), (5, 3, 4, 1))
    assert places == [(4, 0), (4, 0), (5, 0)]  # the pitches are the operands' own
    assert computed == 68


def test_a_batch_by_one_matrix_is_one_product_of_all_rows(twin, strict):
    twin.matmul(strict.ones((2, 3, 4)), strict.ones((4, 5)))
    ((name, _, lengths, *_),) = LIBRARY.calls
    assert (name, lengths) == ("cublasGemmEx", (5, 6, 4, 1))


def test_a_batch_is_one_call_and_a_broadcast_operand_steps_by_nothing(twin, strict):
    twin.matmul(strict.ones((3, 4)), strict.ones((6, 4, 5)))
    ((name, _, lengths, places, _),) = LIBRARY.calls
    assert (name, lengths) == ("cublasGemmStridedBatchedEx", (5, 3, 4, 6))
    assert [step for _, step in places] == [20, 0, 15]


def test_tensor_float_32_is_used_when_cupy_uses_it(twin, strict, monkeypatch):
    for value, computed in (("1", 77), ("0", 68)):
        monkeypatch.setenv("CUPY_TF32", value)
        twin.matmul(strict.ones((2, 2), dtype=np.float32), strict.ones((2, 2), dtype=np.float32))
        assert LIBRARY.calls[-1][-1] == computed
    twin.matmul(strict.ones((2, 2), dtype=np.float64), strict.ones((2, 2), dtype=np.float64))
    assert LIBRARY.calls[-1][-1] == 70


def test_a_product_in_another_stream_is_an_error_of_ours(twin, strict):
    another = graphs_of("strict:0").cp.cuda.Stream(non_blocking=True)
    with another, pytest.raises(StrictError, match="another stream"):
        twin.matmul(strict.ones((2, 2)), strict.ones((2, 2)))


def test_a_status_other_than_success_raises(twin, strict, monkeypatch):
    monkeypatch.setattr(LIBRARY, "cublasGemmEx", lambda *_: 13, raising=False)
    with pytest.raises(RuntimeError, match="cublasGemmEx: cuBLAS returned status 13"):
        twin.matmul(strict.ones((2, 2)), strict.ones((2, 2)))
