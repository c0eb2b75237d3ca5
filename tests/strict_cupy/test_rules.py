"""The stand-in stops what is wrong on a GPU and lets pass what is right there."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from tests.strict_cupy import rules
from tests.strict_cupy.generate import make_table
from tests.strict_cupy.modules import make_cupy, make_cupyx
from tests.strict_cupy.rules import StrictError

cp = make_cupy()
cupyx = make_cupyx()

REFUSED = {
    "numpy function on a device array": (TypeError, lambda: np.sum(cp.ones(3))),
    "numpy ufunc on a device array": (TypeError, lambda: np.exp(cp.ones(3))),
    "implicit conversion": (TypeError, lambda: np.asarray(cp.ones(3))),
    "host array as operand": (TypeError, lambda: cp.ones(3) + np.ones(3)),
    "host array on the left": (TypeError, lambda: np.ones(3) * cp.ones(3)),
    "list as operand": (TypeError, lambda: cp.add(cp.ones(2), [1.0, 2.0])),
    "function of a host array": (TypeError, lambda: cp.sum(np.ones(3))),
    "mixed concatenation": (TypeError, lambda: cp.concatenate([cp.ones(2), np.ones(2)])),
    "device array as an integer": (TypeError, lambda: [1, 2][cp.asarray(0)]),
    "device array in a slice": (TypeError, lambda: cp.ones(3)[: cp.asarray(2)]),
    "device array in range": (TypeError, lambda: range(cp.asarray(2))),
    "host index array": (StrictError, lambda: cp.ones(3)[np.array([0, 1])]),
    "list as index": (StrictError, lambda: cp.ones(3)[[0, 1]]),
    "float index array": (IndexError, lambda: cp.ones(3)[cp.ones(2)]),
    "integer index out of range": (IndexError, lambda: cp.ones(3)[3]),
    "masked ufunc": (TypeError, lambda: cp.add(cp.ones(2), 1, where=cp.ones(2, bool))),
    "masked reduction": (TypeError, lambda: cp.sum(cp.ones(2), where=cp.ones(2, bool))),
    "reduction with an initial value": (TypeError, lambda: cp.max(cp.ones(2), initial=0)),
    "take with a mode": (TypeError, lambda: cp.take(cp.ones(2), cp.asarray([3]), mode="clip")),
    "clip by name": (TypeError, lambda: cp.clip(cp.ones(2), min=0, max=1)),
    "maximum.reduce": (NotImplementedError, lambda: cp.maximum.reduce(cp.ones(2))),
    "maximum.accumulate": (NotImplementedError, lambda: cp.maximum.accumulate(cp.ones(2))),
    "add.at of int8": (NotImplementedError, lambda: cp.add.at(cp.ones(2, cp.int8), cp.asarray([0]), 1)),
    "add.at of complex": (NotImplementedError, lambda: cp.add.at(cp.ones(2, cp.complex64), cp.asarray([0]), 1)),
    "add.at of another dtype": (TypeError, lambda: cp.add.at(cp.ones(2), cp.asarray([0]), cp.ones(1, cp.float16))),
    "multiply.at": (NotImplementedError, lambda: cp.multiply.at(cp.ones(2), cp.asarray([0]), 2)),
    "ambiguous duplicates": (StrictError, lambda: cp.ones(3).__setitem__(cp.asarray([0, 0]), cp.asarray([1.0, 2.0]))),
    "writing to a broadcast view": (ValueError, lambda: cp.broadcast_to(cp.ones(1), (3,)).fill(0)),
    "axis of a scalar": (ValueError, lambda: cp.asarray(1.0).sum(axis=0)),
    "sorting a transposed array in place": (NotImplementedError, lambda: cp.ones((2, 3)).T.sort()),
    "repeats on the device": (ValueError, lambda: cp.ones(2).repeat(cp.asarray([1, 2]))),
    "solve that broadcasts": (ValueError, lambda: cp.linalg.solve(cp.ones((2, 3, 3)), cp.ones((1, 3, 1)))),
    "bits of floats": (TypeError, lambda: cp.bitwise_and(cp.ones(2), cp.ones(2))),
    "a function that CuPy lacks": (AttributeError, lambda: cp.linalg.multi_dot),
    "read-only flag": (AttributeError, lambda: cp.ones(2).setflags(write=False)),
    "namespace of the array": (AttributeError, lambda: cp.ones(2).__array_namespace__()),
    "array on another device": (StrictError, lambda: _on_other_device(lambda x: x + 1)),
}


def _on_other_device(function):
    x = cp.ones(2)
    cp.cuda.runtime.setDevice(1)
    try:
        return function(x)
    finally:
        cp.cuda.runtime.setDevice(0)


def _total_in_place():
    x = cp.ones(3)
    x += 2
    x *= cp.asarray(2.0)
    return x


def _duplicates_that_agree():
    x = cp.zeros(3)
    x[cp.asarray([1, 1])] = cp.asarray([5.0, 5.0])
    x[cp.asarray([2, 2])] = 7
    return x


def _scatter():
    x = cp.zeros(3)
    cp.add.at(x, cp.asarray([1, 1]), cp.asarray([5.0, 5.0]))
    return x


def _view_written_through():
    x = cp.zeros((2, 2))
    x[0][...] = 1
    return x


def _singular_unseen():
    return cp.linalg.inv(cp.ones((2, 2)))


ACCEPTED = {
    "scalar operands": (lambda: 2 * cp.ones(2) + np.float64(1), [3, 3]),
    "numpy scalar on the left": (lambda: np.float32(2) * cp.ones(2), [2, 2]),
    "in-place arithmetic": (_total_in_place, [6, 6, 6]),
    "device index": (lambda: cp.asarray([1.0, 2.0, 3.0])[cp.asarray([2, -1])], [3, 3]),
    "0-d device index": (lambda: cp.asarray([1.0, 2.0])[cp.asarray(1)], 2),
    "mask": (lambda: cp.asarray([1.0, 2.0])[cp.asarray([False, True])], [2]),
    "slices": (lambda: cp.arange(6).reshape(2, 3)[:, ::-1][..., None, 0], [[2], [5]]),
    "0-d results stay arrays": (lambda: cp.ones(3).sum() + 1, 4),
    "where with three arguments": (lambda: cp.where(cp.asarray([True, False]), 1.0, cp.zeros(2)), [1, 0]),
    "output argument": (lambda: cp.add(cp.ones(2), 1, cp.empty(2)), [2, 2]),
    "reshape with a list": (lambda: cp.arange(4).reshape([2, 2]), [[0, 1], [2, 3]]),
    "duplicates that agree": (_duplicates_that_agree, [0, 5, 7]),
    "scattered sums": (_scatter, [0, 10, 0]),
    "views are written through": (_view_written_through, [[1, 1], [0, 0]]),
    "explicit copies": (lambda: cp.asarray(cp.asnumpy(cp.ones(2)) * 3), [3, 3]),
    "nested lists of device scalars": (lambda: cp.asarray([cp.asarray(1.0), 2.0]), [1, 2]),
    "float16 sums": (lambda: cp.full(4096, 1, cp.float16).sum(), 4096),
    "add.reduce": (lambda: cp.add.reduce(cp.ones((2, 2)), axis=1), [2, 2]),
    "axis None of a scalar": (lambda: cp.asarray(3.0).sum(), 3),
    "singular matrices go unseen": (_singular_unseen, [[np.nan] * 2] * 2),
    "iteration": (lambda: next(iter(cp.ones((2, 1)))), [1]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_breaks_on_a_gpu_is_refused(what):
    error, attempt = REFUSED[what]
    with pytest.raises(error):
        attempt()


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_works_on_a_gpu_is_accepted(what):
    attempt, wanted = ACCEPTED[what]
    result = attempt()
    assert isinstance(result, cp.ndarray)
    np.testing.assert_array_equal(cp.asnumpy(result), wanted)


def test_an_index_out_of_range_wraps_and_is_recorded():
    x = cp.asarray([1.0, 2.0, 3.0])
    assert x[cp.asarray([3, -4])].tolist() == [1.0, 3.0]
    assert rules.take_recorded() == ["index 3 for axis 0 of shape (3,)"]


def test_decompositions_report_failure_only_when_asked():
    with cupyx.errstate(linalg="raise"), pytest.raises(np.linalg.LinAlgError):
        cp.linalg.inv(cp.ones((2, 2)))


WAITING = {
    "float": lambda x: float(x[0]),
    "bool": lambda x: bool(x[0] > 0),
    "item": lambda x: x[0].item(),
    "print": lambda x: f"{x}",
    "mask": lambda x: x[x > 0],
    "nonzero": lambda x: cp.nonzero(x),
    "where with one argument": lambda x: cp.where(x),
    "unique": lambda x: cp.unique(x),
    "asnumpy": lambda x: cp.asnumpy(x),
    "checked decomposition": lambda x: _checked_cholesky(),
}


def _checked_cholesky():
    with cupyx.errstate(linalg="raise"):
        return cp.linalg.cholesky(cp.eye(2))


@pytest.mark.parametrize("what", WAITING)
def test_waiting_is_counted_and_can_be_forbidden(what):
    x = cp.ones(3)
    before = len(rules.waits)
    WAITING[what](x)
    assert len(rules.waits) > before
    with rules.no_waiting(), pytest.raises(StrictError, match="wait"):
        WAITING[what](x)


def test_the_table_of_signatures_is_that_of_the_installed_cupy():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if cupy.__version__ != rules.SIGNATURES["version"]:
        pytest.skip(f"the table is CuPy {rules.SIGNATURES['version']}'s, installed is {cupy.__version__}")
    assert make_table() == rules.SIGNATURES


def test_arithmetic_does_not_wait(forbid_synchronization):
    x = cp.ones((3, 3))
    (cp.exp(x @ x).sum(axis=0) + x[0]).reshape(-1)


def test_the_backend_does_not_wait_in_a_training_step(forbid_synchronization):
    from retrograd.backends import backend_of

    xp = backend_of("strict")
    w, x = xp.ones((3, 2), dtype=np.float32), xp.ones((4, 3), dtype=np.float32)
    y = xp.sigmoid(xp.matmul(x, w))
    picked = xp.take_along_axis(y, xp.asarray([[0], [1], [0], [1]]), axis=1)
    xp.index_add(y, xp.asarray([0, 0]), y[:2])
    xp.setitem(y, xp.asarray([0, 0]), y[:2])
    xp.adam_step(w, w, w, w, None, step=1, lr=0.1, beta1=0.9, beta2=0.9, eps=1e-8)
    assert picked.shape == (4, 1)


# ---- graphs


def captured(work):
    """A graph of what a function does in a stream that captures."""
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            work()
        except BaseException:
            with contextlib.suppress(RuntimeError):
                stream.end_capture()
            raise
        return stream.end_capture()


def test_a_capture_runs_nothing_and_a_launch_computes_into_the_same_memory():
    x, total = cp.ones(3, cp.float32), cp.zeros(3, cp.float32)
    made = []

    def work():
        made.append(cp.add(x, 1))
        cp.add(total, made[0], total)

    graph = captured(work)
    assert np.isnan(cp.asnumpy(made[0])).all()
    assert total.tolist() == [0, 0, 0]
    for k in (1, 2):
        graph.launch()
        assert made[0].tolist() == [2, 2, 2]
        assert total.tolist() == [2 * k] * 3
    x[...] = 5
    graph.launch()
    assert made[0].tolist() == [6, 6, 6]


NOT_CAPTURED = {
    "waiting": (RuntimeError, lambda x: x.item()),
    "a mask": (RuntimeError, lambda x: x[x > 0]),
    "a product": (NotImplementedError, lambda x: x @ x),
    "an einsum": (NotImplementedError, lambda x: cp.einsum("ij,jk->ik", x, x)),
    "a decomposition": (NotImplementedError, lambda x: cp.linalg.inv(x)),
}


@pytest.mark.parametrize("what", NOT_CAPTURED)
def test_what_cannot_be_captured_raises(what):
    error, attempt = NOT_CAPTURED[what]
    x = cp.ones((2, 2))
    with pytest.raises(error):
        captured(lambda: attempt(x))


def test_a_copy_from_the_host_is_no_part_of_a_graph():
    parts, joined = [cp.ones(2) for _ in range(9)], []
    wrong = "a graph copies from the host, from where other values lie when it is launched"
    captured(lambda: cp.asarray([1.0]))
    assert rules.take_recorded() == [wrong]
    captured(lambda: joined.append(cp.concatenate(parts)))  # it copies the addresses
    assert rules.take_recorded() == [wrong]
    captured(lambda: joined.append(cp.concatenate(parts[:8])))
    assert rules.take_recorded() == []


def test_a_graph_does_not_touch_memory_that_was_given_back():
    x, pool = [cp.ones(3)], [cp.cuda.MemoryPool()]

    def work():
        with cp.cuda.using_allocator(pool[0].malloc):
            x[0] + 1

    graph = captured(work)
    graph.launch()  # the pool has the memory of the result still
    pool[0] = cp.cuda.MemoryPool()
    with pytest.raises(StrictError, match="given back"):
        graph.launch()
    graph = captured(work)
    x.clear()
    with pytest.raises(StrictError, match="given back"):
        graph.launch()


def test_the_memory_of_a_graph_is_not_given_to_others():
    pool = cp.cuda.MemoryPool()
    with cp.cuda.using_allocator(pool.malloc):
        captured(lambda: cp.ones(2))
        cp.empty(2)
    assert rules.take_recorded() == ["memory from the pool of a graph was given to others"]


def test_the_same_graph_runs_in_one_stream_after_the_other():
    x = cp.ones(3)
    graph = captured(lambda: cp.add(x, 1, x))
    first, second = cp.cuda.Stream(), cp.cuda.Stream()
    graph.launch(first)
    with pytest.raises(StrictError, match="does not wait"):
        graph.launch(second)
    second.wait_event(first.record())
    graph.launch(second)


def test_the_default_stream_does_not_capture():
    with pytest.raises(RuntimeError, match="default"):
        cp.cuda.get_current_stream().begin_capture()


def test_streams_graphs_and_pools_have_the_names_of_the_installed_cupys():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    ours_alone = {"of", "bytes", "set_bytes", "poison", "check", "follow"}
    for name in ("Stream", "Graph", "MemoryPool", "MemoryPointer", "Memory"):
        ours, theirs = getattr(cp.cuda, name), getattr(cupy.cuda, name)
        for member in vars(ours):
            assert member.startswith("_") or hasattr(theirs, member) or member in ours_alone, f"{name}.{member}"
    for name in ("alloc", "using_allocator", "get_current_stream", "set_pinned_memory_allocator"):
        assert callable(getattr(cupy.cuda, name))
    assert callable(cupy.get_default_pinned_memory_pool)
