"""PyTorch's names: what users type as `rg.name` and `x.name`, a thin layer over the primitives of `autograd.ops`."""

from retrograd.autograd.methods import (
    arithmetic,
    attributes,
    comparison,
    conversion,
    creation,
    elementwise,
    indexing,
    inplace,
    interop,
    joining,
    operators,
    random,
    shape,
)
from retrograd.autograd.methods.registry import FUNCTIONS

__all__ = [
    "FUNCTIONS",
    "arithmetic",
    "attributes",
    "comparison",
    "conversion",
    "creation",
    "elementwise",
    "indexing",
    "inplace",
    "interop",
    "joining",
    "operators",
    "random",
    "shape",
]
