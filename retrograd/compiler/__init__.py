"""Compiled steps: what a function computes is recorded once and replayed without Tensors and graph.

compiled.py    rg.compile: the function with its programs, when to record and when to give up
guards.py      what a program takes for granted
hearing.py     what is heard while the function runs for the first time
recorder.py    which array is which value
operations.py  values and operations
unfold.py      rules taken apart into elementwise calls
blocks.py      elementwise calls on large arrays, fused
program.py     the program as Python source
"""

from retrograd.compiler.compiled import Compiled, compile

__all__ = ["Compiled", "compile"]
