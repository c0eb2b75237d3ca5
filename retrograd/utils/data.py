"""`rg.utils.data`: the data sets and loaders of `retrograd.data` under PyTorch's name.

>>> from retrograd.utils.data import DataLoader
>>> len(DataLoader(range(10), batch_size=4))
3
"""

from retrograd import data
from retrograd.data import *  # noqa: F403 - the names are retrograd.data's

__all__ = []
__all__ += data.__all__
