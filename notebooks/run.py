"""Run notebooks from top to bottom, each in a fresh kernel; one that raises, or that takes too long, fails.

    python notebooks/run.py                          all of them
    python notebooks/run.py notebooks/0[1-3]*.ipynb  some
    python notebooks/run.py --out site/notebooks     and keep them as they ran, pictures as files beside them

The files themselves are left as they are. The exit status is 1 when a notebook failed, or all took too long together.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
INLINE = "module://matplotlib_inline.backend_inline"


async def run(path: Path, limit: float, out: Path | None = None) -> str:
    """Run one notebook. Returns what went wrong, or "" when nothing did."""
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    quiet = ["--IPKernelApp.log_level=40"]
    client = NotebookClient(notebook, timeout=None, resources=place, extra_arguments=quiet)
    running = asyncio.ensure_future(client.async_execute())
    await asyncio.wait([running], timeout=limit)
    problem = "" if running.done() else f"took longer than {limit:g} s"
    running.cancel()  # a kernel that is busy is killed
    try:
        await running
    except (CellExecutionError, DeadKernelError, asyncio.CancelledError) as error:
        problem = problem or str(error)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, out / path.name)
        keep_pictures(notebook, out / path.stem)
    return problem


def keep_pictures(notebook: NotebookNode, stem: Path) -> None:
    """Every PNG and SVG that a cell has drawn, as stem-cell.png."""
    for number, cell in enumerate(notebook.cells, 1):
        for place, output in enumerate(cell.get("outputs", []), 1):
            data = output.get("data", {})
            name = f"{stem}-{number:02}-{place}"
            if "image/png" in data:
                Path(f"{name}.png").write_bytes(base64.b64decode(data["image/png"]))
            elif "image/svg+xml" in data:
                Path(f"{name}.svg").write_text(data["image/svg+xml"], encoding="utf-8")


async def run_all(paths: Sequence[Path], limit: float, jobs: int, out: Path | None = None) -> dict[Path, str]:
    """Run several, `jobs` at a time; the problems by path, "" where there was none."""
    gate = asyncio.Semaphore(jobs)

    async def one(path: Path) -> str:
        async with gate:
            start = time.perf_counter()
            problem = await run(path, limit, out)
            print(f"{'FAILED' if problem else 'ok':6} {time.perf_counter() - start:6.1f} s  {path.name}", flush=True)
            return problem

    return dict(zip(paths, await asyncio.gather(*map(one, paths))))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run notebooks from top to bottom.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="files; all of this folder by default")
    parser.add_argument("--limit", type=float, default=150, help="seconds a notebook may take (default 150)")
    parser.add_argument("--budget", type=float, default=480, help="seconds all may take together (default 480)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="notebooks at a time")
    parser.add_argument("--out", type=Path, help="folder for the notebooks as they ran, and for their pictures")
    options = parser.parse_args(arguments)
    paths = [path.resolve() for path in options.notebooks] or sorted(HERE.glob("*.ipynb"))
    # Pictures belong into the notebook, and notebooks side by side must not fight for cores.
    os.environ.update(MPLBACKEND=INLINE, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    start = time.perf_counter()
    problems = asyncio.run(run_all(paths, options.limit, options.jobs, options.out))
    took = time.perf_counter() - start
    failed = {path: problem for path, problem in problems.items() if problem}
    for path, problem in failed.items():
        print(f"\n==== {path.name}\n{problem}", file=sys.stderr)
    print(f"{len(paths) - len(failed)} of {len(paths)} notebooks ran in {took:.0f} s")
    if took > options.budget:
        print(f"together they took longer than {options.budget:g} s; make a setting cheaper", file=sys.stderr)
    return 1 if failed or took > options.budget else 0


if __name__ == "__main__":
    sys.exit(main())
