"""retrograd: PyTorch's way of writing models on NumPy and CuPy arrays.

>>> import retrograd as rg
>>> rg.tensor([1.0, 2.0]).shape
(2,)
"""

from retrograd import autograd
from retrograd.autograd import (
    Tensor,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from retrograd.autograd.dtypes import NAMES as DTYPES
from retrograd.autograd.dtypes import finfo, iinfo
from retrograd.autograd.methods import FUNCTIONS
from retrograd.autograd.promotion import get_default_dtype, promote_types, result_type, set_default_dtype
from retrograd.backends import Device as device
from retrograd.backends import get_default_device, set_default_device

globals().update(FUNCTIONS)
globals().update(DTYPES)

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "autograd",
    "device",
    "enable_grad",
    "finfo",
    "get_default_device",
    "get_default_dtype",
    "iinfo",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "promote_types",
    "result_type",
    "set_default_device",
    "set_default_dtype",
    "set_grad_enabled",
    *DTYPES,
    *FUNCTIONS,
]
