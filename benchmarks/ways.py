"""Ways to run elementwise work over large arrays on a CPU, timed in turn: what the NumPy backend's threads rest on.

    pip install numexpr numba threadpoolctl
    python benchmarks/ways.py --threads 1,2

Each of three chains runs over 4 million float32: by NumPy array after array; by NumPy in blocks that stay in the cache,
their ranges shared out among threads; by numexpr; by numba, compiled. A library that is not installed is left out.
"""

import argparse
import functools
import math
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from retrograd.backends.threads import set_num_threads, share

SIZE, BLOCK, ROUNDS = 2**22, 2**15, 15
Array = Any


def tanh_chain(x: Array, y: Array, out: Array) -> None:
    """tanh(x y + x) - y"""
    np.multiply(x, y, out=out)
    np.add(out, x, out=out)
    np.tanh(out, out=out)
    np.subtract(out, y, out=out)


def plain_chain(x: Array, y: Array, out: Array) -> None:
    """(x y + x) y - y"""
    np.multiply(x, y, out=out)
    np.add(out, x, out=out)
    np.multiply(out, y, out=out)
    np.subtract(out, y, out=out)


def one_product(x: Array, y: Array, out: Array) -> None:
    """x y"""
    np.multiply(x, y, out=out)


CHAINS: dict[str, tuple[Callable[..., None], str, Callable[[float, float], float]]] = {
    "tanh(x y + x) - y": (tanh_chain, "tanh(x * y + x) - y", lambda x, y: math.tanh(x * y + x) - y),
    "(x y + x) y - y": (plain_chain, "(x * y + x) * y - y", lambda x, y: (x * y + x) * y - y),
    "x y": (one_product, "x * y", lambda x, y: x * y),
}


def in_blocks(chain: Callable[..., None], x: Array, y: Array, out: Array) -> None:
    """Every thread takes a range, block after block."""

    def task(start: int, stop: int) -> None:
        for place in range(start, stop, BLOCK):
            block = slice(place, min(place + BLOCK, stop))
            chain(x[block], y[block], out[block])

    share(task, x.size, 1)


def ways(threads: int) -> dict[str, Callable[..., Any]]:
    """What is installed, by name: functions of a chain's three forms and the arrays."""
    found: dict[str, Callable[..., Any]] = {
        "NumPy, array after array": lambda chain, text, one, x, y, out: chain(x, y, np.empty_like(x)),
        "NumPy, in blocks": lambda chain, text, one, x, y, out: in_blocks(chain, x, y, out),
    }
    try:
        import numexpr

        numexpr.set_num_threads(threads)
        found["numexpr"] = lambda chain, text, one, x, y, out: numexpr.evaluate(text, {"x": x, "y": y}, out=out)
    except ImportError:
        pass
    try:
        import numba

        numba.set_num_threads(threads)

        @functools.cache
        def compiled(one: Any) -> Any:
            one = numba.njit(one)

            @numba.njit(parallel=True, error_model="numpy")
            def loop(x: Array, y: Array, out: Array) -> None:
                for i in numba.prange(x.size):
                    out[i] = one(x[i], y[i])

            return loop

        found["numba"] = lambda chain, text, one, x, y, out: compiled(one)(x, y, out)
    except ImportError:
        pass
    return found


def timed(run: Callable[[], Any]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="Time ways to run elementwise work over large arrays.")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (default: 1,2)")
    rng = np.random.default_rng(1)
    x, y = (rng.random(SIZE, dtype=np.float32) for _ in range(2))
    out = np.empty_like(x)
    print(f"| ms, median of {ROUNDS} rounds | threads | " + " | ".join(CHAINS) + " |")
    print("| --- | ---: |" + " ---: |" * len(CHAINS))
    for threads in map(int, parser.parse_args().threads.split(",")):
        set_num_threads(threads)
        found = ways(threads)
        runs = {
            (name, title): functools.partial(way, *CHAINS[title], x, y, out)
            for name, way in found.items()
            for title in CHAINS
        }
        for run in runs.values():  # compiles
            run()
        rounds = [{key: timed(run) for key, run in runs.items()} for _ in range(ROUNDS)]
        for name in found:
            cells = [f"{median(times[name, title] for times in rounds) * 1e3:.2f}" for title in CHAINS]
            print(f"| {name} | {threads} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
