"""Every backend gives the contract's values: shapes, views and indices."""

from __future__ import annotations

import numpy as np
import pytest

from retrograd.backends import flags
from tests.backends.arrays import DTYPES, agree, host


@pytest.fixture
def a(rng):
    return rng.normal(size=(2, 3, 4)).astype(np.float32)


# ---- shape


def test_reshape_and_permute_take_names_or_positions(xp, a):
    x = xp.from_host(a)
    agree(xp.reshape(x, shape=(4, -1)), a.reshape(4, -1))
    agree(xp.reshape(x, -1), a.ravel())
    agree(xp.permute_dims(x, axes=(2, 0, 1)), a.transpose(2, 0, 1))
    agree(xp.permute_dims(x, (-1, 0, 1)), a.transpose(2, 0, 1))
    agree(xp.reshape(xp.permute_dims(x, (2, 0, 1)), (4, 6)), a.transpose(2, 0, 1).reshape(4, 6))
    agree(xp.permute_dims(xp.asarray(1.0), ()), np.asarray(1.0))
    with pytest.raises(ValueError, match="reshape"):
        xp.reshape(x, (5, 5))


@pytest.mark.parametrize("shape", [(5, 2, 3, 4), (2, 3, 4), (2, 3, 4, 1)[:3]])
def test_broadcast_to_repeats_without_copying(xp, a, shape):
    for given in (a, a[:, ::-1], a[:1], a[:, :, :1], a[0, 0, 0:1].reshape(())):
        agree(xp.broadcast_to(xp.from_host(given), shape=shape), np.broadcast_to(given, shape))
    agree(xp.broadcast_to(xp.zeros((0, 1)), (3, 0, 2)), np.zeros((3, 0, 2)))
    with pytest.raises(ValueError, match="broadcast"):
        xp.broadcast_to(xp.from_host(a), (2, 3, 5))
    with pytest.raises(ValueError, match=r"broadcast|dimensions"):
        xp.broadcast_to(xp.from_host(a), (4,))


def test_concat_and_stack_join_along_any_axis(xp, a):
    x, y = xp.from_host(a), xp.from_host(a + 1)
    agree(xp.concat([x, y], axis=1), np.concatenate([a, a + 1], 1))
    agree(xp.concat((x, y), axis=-1), np.concatenate([a, a + 1], -1))
    agree(xp.stack([x, y], axis=1), np.stack([a, a + 1], 1))
    agree(xp.stack([xp.sum(x), xp.sum(x)]), np.stack([host(xp.sum(x))] * 2))
    with pytest.raises(ValueError, match="dimension"):
        xp.concat([x, y[:, :2]], axis=0)


def test_flip_and_roll(xp, a):
    x = xp.from_host(a)
    for axis in (None, 1, -1, (0, 2)):
        agree(xp.flip(x, axis=axis), np.flip(a, axis))
    agree(xp.roll(x, 2, axis=-1), np.roll(a, 2, -1))
    agree(xp.roll(x, (1, -2), axis=(0, 1)), np.roll(a, (1, -2), (0, 1)))
    agree(xp.roll(x, shift=3), np.roll(a, 3))


def test_squeeze_and_expand_dims_are_inverse(xp, a):
    x = xp.from_host(a)
    for axis in (0, 2, 3, -1, -4, (0, 2), (-1, 1)):
        agree(xp.expand_dims(x, axis=axis), np.expand_dims(a, axis))
        agree(xp.squeeze(xp.expand_dims(x, axis=axis), axis=axis), a)
    with pytest.raises(ValueError, match="size"):
        xp.squeeze(x, 0)
    with pytest.raises(ValueError, match="axis"):
        xp.expand_dims(x, axis=5)


def test_repeat_takes_a_number_or_one_per_element(xp, a):
    x = xp.from_host(a)
    agree(xp.repeat(x, 2, axis=1), np.repeat(a, 2, 1))
    agree(xp.repeat(x, [1, 0, 3], axis=1), np.repeat(a, [1, 0, 3], 1))
    agree(xp.repeat(x, xp.asarray([1, 0, 3]), axis=-2), np.repeat(a, [1, 0, 3], -2))
    agree(xp.tile(x, (2, 1, 1)), np.tile(a, (2, 1, 1)))
    agree(xp.tile(x, repetitions=(3,)), np.tile(a, 3))


def test_diagonals_may_lie_anywhere(xp, a):
    x = xp.from_host(a)
    agree(xp.diagonal(x), np.diagonal(a, 0, -2, -1))
    agree(xp.diagonal(x, offset=-1, axis1=0, axis2=1), np.diagonal(a, -1, 0, 1))
    agree(xp.diagonal(x, offset=1, axis1=-1, axis2=0), np.diagonal(a, 1, 2, 0))


def test_windows_are_views_with_their_axes_last(xp, a):
    for given in (a, a[:, ::-1, ::2]):
        wanted = np.lib.stride_tricks.sliding_window_view(given, (2, 2), (1, 2))
        agree(xp.sliding_window_view(xp.from_host(given), window=(2, 2), axes=(1, 2)), wanted)
        agree(xp.sliding_window_view(xp.from_host(given), (2, 2), (-2, -1)), wanted)
    with pytest.raises(ValueError, match="does not fit"):
        xp.sliding_window_view(xp.from_host(a), (5,), (2,))


def test_strides_count_elements(xp, a):
    x = xp.from_host(a)
    agree(xp.as_strided(x, (2, 2), (12, 1)), a[:, 0, :2])
    agree(xp.as_strided(x, shape=(3, 5), strides=(0, 2)), np.broadcast_to(a.ravel()[:10:2], (3, 5)))


def test_ascontiguousarray_keeps_values_and_rank(xp, a):
    turned = xp.permute_dims(xp.from_host(a), (2, 1, 0))
    result = xp.ascontiguousarray(turned)
    agree(result, a.T)
    assert result.flags.c_contiguous
    assert xp.ascontiguousarray(xp.asarray(1.0)).shape == ()


# ---- indices

BASIC = [0, -1, slice(1, None), slice(None, None, -2), None, Ellipsis, (0, Ellipsis, 1), (slice(None), None, 1), ()]


@pytest.mark.parametrize("index", BASIC, ids=str)
def test_basic_indices_read_and_write(xp, a, index):
    x = xp.from_host(a.copy())
    agree(xp.getitem(x, index), a[index])
    wanted = a.copy()
    wanted[index] = 7
    xp.setitem(x, index, 7)
    agree(x, wanted)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integer_arrays_pick_with_negative_and_repeated_indices(xp, a, dtype):
    x = xp.from_host(a)
    rows, columns = np.array([[0, -1], [1, 1]], dtype), np.array([2, 0], dtype)
    i, j = xp.from_host(rows), xp.from_host(columns)
    agree(xp.getitem(x, i), a[rows])
    agree(xp.getitem(x, (i, j)), a[rows, columns])
    agree(xp.getitem(x, (i, slice(None), j)), a[rows, :, columns])
    agree(xp.getitem(x, (Ellipsis, j)), a[..., columns])
    agree(xp.getitem(x, (0, slice(None), j)), a[0][:, columns])
    agree(xp.getitem(x, (i, slice(None), 0)), a[:, :, 0][rows])
    agree(xp.getitem(x, (0, Ellipsis, None, j)), a[0][..., None, columns])
    agree(xp.getitem(x, xp.asarray([], dtype=np.int64)), a[[]])


def test_lists_and_host_arrays_are_indices_too(xp, a):
    x = xp.from_host(a)
    agree(xp.getitem(x, [1, 0]), a[[1, 0]])
    agree(xp.getitem(x, (slice(None), np.array([2, 0]))), a[:, [2, 0]])
    agree(xp.getitem(x, []), a[[]])
    agree(xp.getitem(x, np.int64(1)), a[1])
    agree(xp.getitem(x, [True, False]), a[[True, False]])


def test_masks_pick_and_assign(xp, a):
    x = xp.from_host(a.copy())
    mask = xp.greater(x, 0)
    agree(xp.getitem(x, mask), a[a > 0])
    agree(xp.getitem(x, xp.asarray([False, True])), a[[False, True]])
    xp.setitem(x, mask, 0)
    agree(x, np.where(a > 0, 0, a))
    xp.setitem(x, xp.asarray([True, False]), xp.ones((3, 4), dtype=np.float32))
    agree(xp.getitem(x, 0), np.ones((3, 4), np.float32))


@pytest.mark.parametrize("index", [2, -3, [0, 2], [-3], (0, 3), (slice(None), [0, 3]), (Ellipsis, [4])], ids=str)
def test_an_index_out_of_range_raises_index_error(xp, a, index):
    x = xp.from_host(a.copy())
    on_device = index
    if isinstance(index, (list, tuple)):
        parts = index if isinstance(index, tuple) else (index,)
        on_device = tuple(xp.asarray(part) if isinstance(part, list) else part for part in parts)
    for each in (index, on_device):
        with pytest.raises(IndexError):
            xp.getitem(x, each)
        with pytest.raises(IndexError):
            xp.setitem(x, each, 0)
        with pytest.raises(IndexError):
            xp.index_add(x, each, xp.getitem(x, (Ellipsis, 0)))
    agree(x, a)


def test_too_many_indices_raise_index_error(xp, a):
    with pytest.raises(IndexError):
        xp.getitem(xp.from_host(a), (0, 0, 0, 0))


def test_the_last_of_duplicate_assignments_wins(xp):
    x = xp.zeros((3, 2), dtype=np.float32)
    xp.setitem(x, xp.asarray([0, 2, 0, 0]), xp.asarray(np.arange(8.0).reshape(4, 2), dtype=np.float32))
    agree(x, np.array([[6, 7], [0, 0], [2, 3]], np.float32))
    xp.setitem(x, (xp.asarray([1, 1, -2]), 0), xp.asarray([1.0, 2.0, 3.0]))
    agree(x, np.array([[6, 7], [3, 0], [2, 3]], np.float32))
    xp.setitem(x, xp.asarray([0, 0]), xp.asarray([8.0, 9.0]))
    agree(xp.getitem(x, 0), np.array([8, 9], np.float32))


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("dtype", [*DTYPES, np.int8, np.int32, np.int64])
def test_index_add_adds_duplicates_up(xp, a, dtype, deterministic):
    a = (a * 4).astype(dtype)
    flags.use_deterministic_algorithms(deterministic)
    try:
        i = np.array([1, 0, 1, 1])
        for index, part in [(i, slice(None)), ((slice(None), i), 0), ((Ellipsis, i, i), 0)]:
            wanted = a.astype(np.float64)
            value = np.ones_like(a[index]) * (2 if part == 0 else 3)
            np.add.at(wanted, index, value)
            parts = index if isinstance(index, tuple) else (index,)
            placed = tuple(xp.from_host(p) if isinstance(p, np.ndarray) else p for p in parts)
            x = xp.from_host(a.copy())
            agree(xp.index_add(x, placed, xp.from_host(value)), wanted.astype(dtype))
            agree(x, a)
    finally:
        flags.use_deterministic_algorithms(False)


def test_index_add_takes_slices_masks_and_values_that_broadcast(xp, a):
    x = xp.from_host(a)
    wanted = a.copy()
    wanted[:, 1:] += 2
    agree(xp.index_add(x, (slice(None), slice(1, None)), xp.full((2, 4), 2, dtype=np.float32)), wanted)
    agree(xp.index_add(x, xp.greater(x, 0), xp.asarray(1.0, dtype=np.float32)), np.where(a > 0, a + 1, a))
    wanted = a.copy()
    wanted[1] += 3
    agree(xp.index_add(x, xp.asarray([1, 1, 1]), xp.ones((4,), dtype=np.float32)), wanted)
    agree(xp.index_add(x, xp.asarray([], dtype=np.int64), xp.ones((0, 3, 4), dtype=np.float32)), a)


@pytest.mark.parametrize("deterministic", [False, True])
def test_an_index_array_without_dimensions_reaches_the_array_it_writes_to(xp, a, deterministic):
    flags.use_deterministic_algorithms(deterministic)
    try:
        one, rows = xp.asarray(1), xp.asarray([0, 2, 0])
        for index, plain in [
            (one, 1),
            ((one,), (1,)),
            ((Ellipsis, one), (Ellipsis, 1)),
            ((one, slice(None), xp.asarray(-1)), (1, slice(None), -1)),
            ((one, None, 0), (1, None, 0)),
        ]:
            wanted, x = a.copy(), xp.from_host(a.copy())
            wanted[plain] += 2
            value = xp.full(a[plain].shape, 2, dtype=np.float32)
            agree(xp.index_add(x, index, value), wanted)
            agree(xp.index_sum(value, index, shape=a.shape), np.where(wanted == a, 0, 2).astype(np.float32))
            wanted[plain] = 7
            xp.setitem(x, index, 7)
            agree(xp.getitem(x, index), wanted[plain])
        wanted = a.copy()
        np.add.at(wanted[1], np.array([0, 2, 0]), 2)
        x = xp.from_host(a.copy())
        agree(xp.index_add(x, (one, rows), xp.full((3, 4), 2, dtype=np.float32)), wanted)
        xp.setitem(x, (one, rows), 7)
        agree(xp.getitem(x, (1, rows)), np.full((3, 4), 7, np.float32))
    finally:
        flags.use_deterministic_algorithms(False)


@pytest.mark.parametrize("dtype", [*DTYPES, np.int8, np.int64])
def test_index_sum_adds_at_places_of_zeros(xp, dtype):
    value = np.array([[1, 2], [3, 4], [5, 6], [7, 8]]).astype(dtype)
    result = xp.index_sum(xp.from_host(value), (xp.asarray([2, 0, 2, -1]),), shape=(5, 2))
    agree(result, np.array([[3, 4], [0, 0], [6, 8], [0, 0], [7, 8]]).astype(dtype))
    pairs = xp.index_sum(xp.from_host(value[0]), (xp.asarray([1, 1]), xp.asarray([0, 0])), shape=(2, 1))
    agree(pairs, np.array([[0], [3]]).astype(dtype))


def test_many_small_float16_addends_are_not_lost(xp):
    result = xp.index_add(
        xp.zeros((2,), dtype=np.float16), xp.zeros((4096,), dtype=np.int64), xp.ones((4096,), dtype=np.float16)
    )
    agree(result, np.array([4096, 0], np.float16))


def test_complex_numbers_are_added_at_indices(xp):
    x = xp.asarray([1 + 1j, 0])
    result = xp.index_add(x, xp.asarray([0, 0]), xp.asarray([1j, 2]))
    np.testing.assert_array_equal(host(result), [3 + 2j, 0])


def test_functions_along_an_axis_pair_indices_with_places(xp, a):
    x = xp.from_host(a)
    i = np.array([[[2, 0], [1, 1], [0, -1]], [[0, 0], [3, 2], [1, 1]]])
    places = xp.from_host(i)
    agree(xp.take_along_axis(x, places, axis=-1), np.take_along_axis(a, i, -1))
    agree(xp.take_along_axis(x, places[:1], axis=2), np.take_along_axis(a[:1], i[:1], 2))
    ones = np.ones(i.shape, np.float32)
    wanted = a.copy()
    for (b, c, d), k in np.ndenumerate(i):
        wanted[b, c, k] += ones[b, c, d]
    agree(xp.add_along_axis(x, places, xp.from_host(ones), axis=2), wanted)
    values = np.arange(12, dtype=np.float32).reshape(i.shape)
    wanted = a.copy()
    for (b, c, d), k in np.ndenumerate(i):
        wanted[b, c, k] = values[b, c, d]
    agree(xp.put_along_axis(x, places, xp.from_host(values), axis=2), wanted)
    agree(x, a)


def test_indices_along_an_axis_out_of_range_raise(xp, a):
    x = xp.from_host(a)
    wrong = xp.full((2, 3, 1), 4)
    for attempt in (
        lambda: xp.take_along_axis(x, wrong, axis=2),
        lambda: xp.put_along_axis(x, wrong, 0, axis=2),
        lambda: xp.add_along_axis(x, wrong, xp.ones((2, 3, 1), dtype=np.float32), axis=2),
    ):
        with pytest.raises(IndexError):
            attempt()
