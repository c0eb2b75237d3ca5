"""Compiled steps: what a function computes is recorded once and replayed without Tensors and graph.

compiled.py        rg.compile: the function with its programs, when to record and when to give up
guards.py          what a program takes for granted
listening.py       what listeners share; hearing.py and backward.py are what is heard forward and backward
functions.py       functions that are replayed as they are
decisions.py       values by which the library decides
recorder.py        which array is which value
operations.py      values and operations
lowering.py        from what was heard to what is to be done
unfold.py          rules taken apart into calls of NumPy's functions
blocks.py          elementwise calls on large arrays, fused
capture.py         what of it a GPU runs as CUDA graphs
program.py         the program as Python source
differentiable.py  functions whose result has a graph that is still to be used
results.py         Tensors whose graph is used up
"""

from retrograd.compiler.compiled import Compiled, compile

__all__ = ["Compiled", "compile"]
