"""Writes signatures.json: what the installed CuPy accepts, so that tests need no CuPy.

    python tests/strict_cupy/generate.py

Run it after a new CuPy release and read the difference. No GPU is needed.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("signatures.json")
MODULES = ("", "linalg", "lib.stride_tricks")


def main() -> None:
    TABLE.write_text(json.dumps(make_table(), indent=1, sort_keys=True) + "\n")


def make_table() -> dict[str, Any]:
    import cupy

    return {
        "version": cupy.__version__,
        "functions": _functions(cupy),
        "ufuncs": {name: _ufunc(value) for name, value in vars(cupy).items() if isinstance(value, cupy.ufunc)},
        "methods": _methods(cupy.ndarray),
    }


def _functions(cupy: Any) -> dict[str, str]:
    found = {}
    for module in MODULES:
        namespace = cupy
        for part in filter(None, module.split(".")):
            namespace = getattr(namespace, part)
        for name, value in vars(namespace).items():
            if name.startswith("_") or isinstance(value, (type, cupy.ufunc)) or not callable(value):
                continue
            signature = _signature(value)
            if signature is not None:
                found[f"{module}.{name}" if module else name] = signature
    return found


def _signature(function: Any) -> str | None:
    """The parameters and their defaults as source text; defaults that are not literals become None."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return _from_docstring(function.__doc__ or "")
    literal = (int, float, str, bool, type(None), tuple)
    plain = [
        p.replace(
            annotation=p.empty,
            default=p.default if p.default is p.empty or isinstance(p.default, literal) else None,
        )
        for p in parameters
        if p.name != "self"
    ]
    return str(inspect.Signature(plain))


def _from_docstring(text: str) -> str | None:
    """Compiled functions carry their signature, with C types, in the first line of their docstring."""
    match = re.match(r"[\w.]+\((.*)\)", text.split("\n")[0])
    if match is None:
        return None
    parameters = [part.strip() for part in match.group(1).split(",") if part.strip() and part.strip() != "self"]
    return "(" + ", ".join(re.sub(r"^(?:\w+ )+(?=\w)", "", part) for part in parameters) + ")"


def _methods(ndarray: type) -> dict[str, str]:
    """Signatures of the methods; None stands for a property."""
    found = {}
    for name in dir(ndarray):
        member = getattr(ndarray, name)
        if name.startswith("_"):
            continue
        found[name] = _signature(member) if callable(member) else "property"
    return {name: signature for name, signature in found.items() if signature is not None}


def _ufunc(ufunc: Any) -> dict[str, Any]:
    """Number of inputs and the loops, as characters of NumPy's dtypes; bfloat16 ("E") is left out."""
    loops = []
    for op in ufunc._ops.ops:
        kinds = [
            "".join(t.char if hasattr(t, "char") else _char(t) for t in types) for types in (op.in_types, op.out_types)
        ]
        if "E" not in "".join(kinds):
            loops.append("->".join(kinds))
    return {"nin": ufunc.nin, "loops": loops}


def _char(scalar_type: Any) -> str:
    import numpy as np

    return np.dtype(scalar_type).char


if __name__ == "__main__":
    main()
