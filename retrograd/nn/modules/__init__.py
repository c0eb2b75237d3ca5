"""Where PyTorch keeps its layers; here they are in `nn` itself, and this has what concerns all modules at once."""

from retrograd.nn.modules import module as module

__all__ = ["module"]
