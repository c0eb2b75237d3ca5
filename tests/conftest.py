"""Fixtures of every test: `device` and `xp` run it on each backend; the strict one keeps CuPy's rules without a GPU."""

from tests.strict_cupy.plugin import _rules_of_the_gpu, device, forbid_synchronization, gpu, rng, xp

__all__ = ["_rules_of_the_gpu", "device", "forbid_synchronization", "gpu", "rng", "xp"]
