"""Array libraries behind one contract: the only package that knows NumPy or CuPy by name.

`contract` lists the functions, `numpy` and `cupy` implement them, `device` finds the one of a device or an array.
"""

import os

from retrograd.backends.contract import FUNCTIONS, Backend
from retrograd.backends.device import (
    CPU,
    Device,
    backend_of,
    backend_of_array,
    current_device,
    device_of,
    devices_available,
    get_default_device,
    register,
    set_default_device,
)
from retrograd.backends.flags import (
    are_deterministic_algorithms_enabled,
    check_index_arrays,
    use_deterministic_algorithms,
)
from retrograd.backends.kernels import set_kernels

__all__ = [
    "CPU",
    "FUNCTIONS",
    "Backend",
    "Device",
    "are_deterministic_algorithms_enabled",
    "backend_of",
    "backend_of_array",
    "check_index_arrays",
    "current_device",
    "device_of",
    "devices_available",
    "get_default_device",
    "register",
    "set_default_device",
    "use_deterministic_algorithms",
]

if "RETROGRAD_KERNELS" in os.environ:  # here, because compiled kernels import functions that they stand for
    set_kernels(os.environ["RETROGRAD_KERNELS"])
