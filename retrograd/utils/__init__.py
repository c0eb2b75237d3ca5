"""`rg.utils`: what PyTorch keeps under torch.utils."""

from retrograd.utils import checkpoint

__all__ = ["checkpoint"]
