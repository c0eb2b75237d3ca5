"""Every row of the requirements that the lectures set, L01 to L69, has a test that bears its number."""

from __future__ import annotations

import ast
import collections
from pathlib import Path

ROWS = [
    *range(1, 16),  # differentiation
    *range(20, 24),  # data
    *range(30, 41),  # layers
    *range(50, 59),  # training
    *range(60, 70),  # networks
]
"""The numbers between are not used."""

ON_THE_HOST = {
    "L52": "schedules compute with Python's numbers",
    "L56": "the search of hyper-parameters only starts trainings",
    "L61": "networks of a hundred million parameters are counted, and run once",
}
"""Rows without a test on every device, and why."""


def by_row() -> dict[str, list[ast.FunctionDef]]:
    """The test functions whose names start with a row."""
    found = collections.defaultdict(list)
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_L"):
                found[node.name.split("_")[1]].append(node)
    return found


def test_every_row_has_a_test_and_every_test_a_row():
    assert sorted(by_row()) == [f"L{row:02}" for row in ROWS]


def test_every_row_is_tested_on_every_device_or_says_why_not():
    host = [
        row
        for row, tests in sorted(by_row().items())
        if not any(argument.arg == "device" for test in tests for argument in test.args.args)
    ]
    assert host == list(ON_THE_HOST)
