"""Named tuples that functions with several results return: `x.max(dim=0).values`."""

from __future__ import annotations

import collections
from typing import Any

__all__ = ["result"]


def result(name: str, *fields: str) -> Any:
    """The class of a function's results, that prints them by name."""
    base = collections.namedtuple(name, fields)  # type: ignore[misc]  # fields are known at run time

    def represent(self: Any) -> str:
        return f"rg.return_types.{name}(\n" + ",\n".join(f"{f}={getattr(self, f)!r}" for f in fields) + ")"

    return type(name, (base,), {"__slots__": (), "__repr__": represent, "__module__": "retrograd.return_types"})
