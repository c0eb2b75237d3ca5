"""retrograd: PyTorch's way of writing models on NumPy and CuPy arrays.

>>> import retrograd as rg
>>> x = rg.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

import os

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "19")  # before NumPy is imported; why is in backends/threads.py

import importlib
from math import e, inf, nan, pi
from typing import Any

from numpy import dtype

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
from retrograd.autograd.methods import FUNCTIONS, random
from retrograd.autograd.methods.random import default_generator
from retrograd.autograd.printing import get_printoptions, set_printoptions
from retrograd.autograd.promotion import get_default_dtype, promote_types, result_type, set_default_dtype
from retrograd.backends import Device as device
from retrograd.backends import get_default_device, set_default_device
from retrograd.backends.flags import are_deterministic_algorithms_enabled, use_deterministic_algorithms
from retrograd.backends.kernels import get_kernels, set_kernels
from retrograd.backends.threads import get_num_threads, set_num_threads
from retrograd.func import vmap

globals().update(DTYPES)
globals().update(FUNCTIONS)

__version__ = "0.1.0"

ROOMS = (
    "cli",
    "cuda",
    "data",
    "func",
    "io",
    "linalg",
    "nn",
    "optim",
    "profiler",
    "training",
    "utils",
    "viz",
)
"""Submodules that are imported when they are first named: `rg.nn` needs no import of its own."""

LAYERS = (
    "adaptive_avg_pool1d",
    "adaptive_max_pool1d",
    "alpha_dropout",
    "avg_pool1d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy_with_logits",
    "celu",
    "celu_",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "ctc_loss",
    "dropout",
    "embedding",
    "feature_alpha_dropout",
    "group_norm",
    "hinge_embedding_loss",
    "instance_norm",
    "kl_div",
    "layer_norm",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool3d",
    "native_channel_shuffle",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "relu_",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "selu",
    "selu_",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
)
"""Functions of `nn.functional` that are here too, as PyTorch has them; `nn` is imported when one is first named."""

__all__ = [
    "Tensor",
    "are_deterministic_algorithms_enabled",
    "autograd",
    "default_generator",
    "device",
    "dtype",
    "e",
    "enable_grad",
    "finfo",
    "get_default_device",
    "get_default_dtype",
    "get_kernels",
    "get_num_threads",
    "get_printoptions",
    "iinfo",
    "inf",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "nan",
    "no_grad",
    "pi",
    "promote_types",
    "random",
    "result_type",
    "set_default_device",
    "set_default_dtype",
    "set_grad_enabled",
    "set_kernels",
    "set_num_threads",
    "set_printoptions",
    "use_deterministic_algorithms",
    "vmap",
    *DTYPES,
    *FUNCTIONS,
]


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return importlib.import_module(f"retrograd.{name}")
    if name in LAYERS:
        own = importlib.import_module("retrograd.nn.top_level")
        globals()[name] = function = getattr(own if name in own.__all__ else own.F, name)
        return function
    if name == "compile":
        return importlib.import_module("retrograd.compiler").compile
    if name == "profile":
        return importlib.import_module("retrograd.profiler").profile
    if name in ("load", "save"):  # where PyTorch's users look for them; they say what to use
        return getattr(importlib.import_module("retrograd.io"), name)
    raise AttributeError(f"module 'retrograd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *ROOMS, *LAYERS})
