"""`rg.utils.checkpoint`: memory for time, see `retrograd.autograd.checkpoint`."""

from retrograd.autograd.checkpoint import checkpoint, checkpoint_sequential, noop_context_fn

__all__ = ["checkpoint", "checkpoint_sequential", "noop_context_fn"]
