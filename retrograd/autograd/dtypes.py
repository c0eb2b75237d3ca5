"""The dtypes under PyTorch's names, and what their numbers can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.autograd.promotion import get_default_dtype

__all__ = ["NAMES", "finfo", "iinfo"]

NAMES: dict[str, np.dtype[Any]] = {
    name: np.dtype(kind)
    for name, kind in {
        "float16": np.float16,
        "half": np.float16,
        "float32": np.float32,
        "float": np.float32,
        "float64": np.float64,
        "double": np.float64,
        "int8": np.int8,
        "int16": np.int16,
        "short": np.int16,
        "int32": np.int32,
        "int": np.int32,
        "int64": np.int64,
        "long": np.int64,
        "uint8": np.uint8,
        "uint16": np.uint16,
        "uint32": np.uint32,
        "uint64": np.uint64,
        "bool": np.bool_,
    }.items()
}
"""What the front door offers as `rg.float32` and so on: NumPy's own dtype objects."""


class finfo:
    """Limits of a floating dtype, as Python floats: min, max, eps, tiny, smallest_normal, resolution, bits.

    Without an argument, of the default dtype. Raises TypeError for an integer dtype.

    >>> finfo(np.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, dtype: Any = None) -> None:
        kind = get_default_dtype() if dtype is None else np.dtype(dtype)
        if kind.kind != "f":
            raise TypeError(f"finfo: expected a floating dtype, got {kind}; use iinfo for integers.")
        limits: Any = np.finfo(kind)
        self.bits: int = limits.bits
        self.dtype = str(kind)
        self.min, self.max, self.eps = float(limits.min), float(limits.max), float(limits.eps)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = 10.0 ** -int(limits.precision)

    def __repr__(self) -> str:
        values = ", ".join(
            f"{name}={getattr(self, name):g}" for name in ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        )
        return f"finfo({values}, dtype={self.dtype})"


class iinfo:
    """Limits of an integer dtype: min, max, bits. Raises TypeError for a floating dtype.

    >>> iinfo(np.int8)
    iinfo(min=-128, max=127, dtype=int8)
    """

    def __init__(self, dtype: Any) -> None:
        kind = np.dtype(dtype)
        if kind.kind not in "iu":
            raise TypeError(f"iinfo: expected an integer dtype, got {kind}; use finfo for floating dtypes.")
        limits = np.iinfo(kind)
        self.bits: int = limits.bits
        self.dtype = str(kind)
        self.min, self.max = int(limits.min), int(limits.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
