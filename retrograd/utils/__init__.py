"""`rg.utils`: what PyTorch keeps under torch.utils."""

from retrograd.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
