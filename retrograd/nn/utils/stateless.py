"""The older place of `func.functional_call`."""

from __future__ import annotations

import warnings
from typing import Any

from retrograd.func import functional_call as _functional_call
from retrograd.nn.module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`func.functional_call`, with a FutureWarning."""
    warnings.warn("stateless.functional_call is deprecated; use func.functional_call.", FutureWarning, stacklevel=2)
    return _functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
