"""The command line: `retrograd train`, `retrograd graph`, `retrograd info`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import retrograd as rg
from retrograd.cli import graph, info, train

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; what a user did wrong is one line on standard error and exit status 2."""
    parser = argparse.ArgumentParser(
        prog="retrograd", description="PyTorch's way of writing models on NumPy and CuPy arrays."
    )
    parser.add_argument("--version", action="version", version=rg.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (train, graph, info):
        command.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        print(f"retrograd {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"retrograd {options.command}: interrupted", file=sys.stderr)
        return 130
    return 0
