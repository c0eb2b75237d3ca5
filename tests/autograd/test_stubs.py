"""The stub files say what the library offers at run time."""

from __future__ import annotations

import subprocess
import sys

CHECK = """
from retrograd.autograd.stubs import stubs
for path, text in stubs().items():
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        print(path)
"""


def test_the_stubs_are_current():
    outdated = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True).stdout.split()
    assert outdated == [], "write them again: python -m retrograd.autograd.stubs"
