"""`retrograd info`: what this machine and installation have."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
from typing import Any

import numpy as np

import retrograd as rg
from retrograd.backends import backend_of, devices_available

__all__ = ["add_parser", "report"]

CUPY = ("cupy-cuda12x", "cupy-cuda13x", "cupy")
OPTIONAL = ("graphviz", "matplotlib", "numba", "safetensors", "scikit-learn", "threadpoolctl", "tqdm")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser("info", help="versions, devices, BLAS, kernels and threads")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints the report."""
    facts = report()
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:{width}}  {fact}")


def report() -> dict[str, str]:
    """Facts by name."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    threads = [f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ]
    return {
        "retrograd": rg.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "devices": ", ".join(str(device) for device in devices_available()),
        "default device": str(rg.get_default_device()),
        "backend cpu": f"numpy {np.__version__}",
        "backend cuda": state_of("cuda"),
        "BLAS": f"{blas.get('name')} {blas.get('version')}",
        "kernels": rg.get_kernels(),
        "cores": str(os.cpu_count()),
        "threads": ", ".join(threads) or f"as many as cores ({', '.join(THREAD_VARIABLES)} not set)",
        "dot": shutil.which("dot") or "not found: pictures need Graphviz",
        **{name: version(name) or "not installed" for name in OPTIONAL},
    }


def state_of(kind: str) -> str:
    """The version of a backend's library, or in a line why there is none."""
    try:
        backend_of(kind)
    except RuntimeError as error:
        return str(error)
    return next((f"{name} {found}" for name in CUPY if (found := version(name))), "cupy")


def version(distribution: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
