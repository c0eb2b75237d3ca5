"""Ranges shared out among threads, and how many of them there are."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import retrograd as rg
from retrograd.backends import threads


@pytest.fixture(autouse=True)
def number_restored():
    before = rg.get_num_threads()
    yield
    rg.set_num_threads(before)


def ranges(length, grain, n, **options):
    """The ranges that a task saw, and the threads it ran in."""
    rg.set_num_threads(n)
    seen, where = [], set()

    def task(start, stop):
        seen.append((start, stop))
        where.add(threading.get_ident())

    threads.share(task, length, grain, **options)
    return sorted(seen), where


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("products", [False, True])
def test_ranges_make_up_the_length_without_gap_or_overlap(n, products):
    seen, _ = ranges(1001, 10, n, products=products)
    assert [i for start, stop in seen for i in range(start, stop)] == list(range(1001))
    assert len(seen) == n


def test_a_short_length_is_one_range_in_this_thread():
    assert ranges(19, 10, 2) == ([(0, 19)], {threading.get_ident()})
    assert ranges(0, 10, 2)[0] == [(0, 0)]


def test_a_task_inside_a_task_runs_in_one_piece():
    rg.set_num_threads(2)
    inner = []

    def task(start, stop):
        threads.share(lambda a, b: inner.append((a, b)), 100, 1)

    threads.share(task, 2, 1)
    assert inner == [(0, 100), (0, 100)]


def test_an_exception_in_any_range_reaches_the_caller_and_the_pool_goes_on():
    rg.set_num_threads(2)

    def task(start, stop):
        if start:
            raise ValueError("in the second range")

    with pytest.raises(ValueError, match="in the second range"):
        threads.share(task, 2, 1)
    assert len(ranges(2, 1, 2)[0]) == 2


def test_errstate_holds_in_every_range():
    rg.set_num_threads(2)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        threads.share(lambda start, stop: np.divide(1.0, np.full(3, 0.0 if start else 1.0)), 2, 1)


def test_blas_has_one_thread_within_a_task_with_products_and_its_own_number_after_it():
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    rg.set_num_threads(2)
    within = []
    threads.share(lambda start, stop: within.append([b.num_threads for b in threads.blas()]), 2, 1, products=True)
    assert within == [[1] * len(threads.blas())] * 2
    assert {b.num_threads for b in threads.blas()} == {2}


def test_set_num_threads_tells_blas():
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    rg.set_num_threads(1)
    assert {b.num_threads for b in threads.blas()} == {1}


def test_without_threadpoolctl_a_warning_says_that_blas_keeps_its_number(monkeypatch):
    monkeypatch.setattr(threads, "blas", list)
    with pytest.warns(UserWarning, match="threadpoolctl"):
        rg.set_num_threads(rg.get_num_threads() + 1)


@pytest.mark.parametrize(
    ("wrong", "error"), [(0, RuntimeError), (-1, RuntimeError), (1.5, TypeError), (True, TypeError)]
)
def test_a_wrong_number_raises_and_changes_nothing(wrong, error):
    before = rg.get_num_threads()
    with pytest.raises(error):
        rg.set_num_threads(wrong)
    assert rg.get_num_threads() == before


def test_the_environment_gives_the_number():
    code = "import retrograd as rg; print(rg.get_num_threads())"
    out = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "3"}, capture_output=True, text=True
    )
    assert out.stdout.strip() == "3"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_process_starts_threads_of_its_own():
    code = (
        "import os, sys, retrograd as rg\nfrom retrograd.backends import threads\nrg.set_num_threads(2)\n"
        "threads.share(lambda a, b: None, 2, 1)\npid = os.fork()\nthreads.share(lambda a, b: None, 2, 1)\n"
        "sys.exit(0) if pid == 0 else sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_threads_of_openblas_are_told_to_sleep_before_numpy_starts_them():
    code = "import os, retrograd; print(os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    for given, expected in (({}, "19"), ({"OPENBLAS_THREAD_TIMEOUT": "9"}, "9")):
        out = subprocess.run([sys.executable, "-c", code], env={**environment, **given}, capture_output=True, text=True)
        assert out.stdout.strip() == expected
