"""Automatic differentiation: Tensor, the graph and its replay, the primitives, and what is built from them."""

from retrograd.autograd import functional, methods, ops
from retrograd.autograd.function import Function
from retrograd.autograd.gradcheck import gradcheck, gradgradcheck
from retrograd.autograd.graph import backward, grad
from retrograd.autograd.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)
from retrograd.autograd.tensor import Tensor

__all__ = [
    "Function",
    "Tensor",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "methods",
    "no_grad",
    "ops",
    "set_detect_anomaly",
    "set_grad_enabled",
]
