"""A data set whose samples pass through a function: how augmentation reaches the training data, and no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from retrograd.data.dataset import Dataset
from retrograd.data.fetch import collated

__all__ = ["TransformDataset"]


class TransformDataset(Dataset[Any]):
    """The samples of a data set, their first part (the image) passed through `transform`, their second (the target)
    through `target_transform`; samples that are no tuples are passed through `transform` whole.

    A loader applies them to a whole batch at once, (N, C, H, W) for images; the transforms of `data.transforms` then
    draw for every sample separately. With a collate_fn of one's own, and by index, they are applied to single samples.
    Every access draws anew, so that each epoch sees other variants. Wrap the training part alone:

    >>> import retrograd as rg
    >>> from retrograd.data import DataLoader, TensorDataset, TransformDataset, random_split, transforms
    >>> images = TensorDataset(rg.rand(100, 1, 28, 28), rg.arange(100))
    >>> train, test = random_split(images, [0.9, 0.1])
    >>> augmented = TransformDataset(train, transforms.RandomCrop(28, padding=2))
    >>> next(iter(DataLoader(augmented, batch_size=32)))[0].shape
    (32, 1, 28, 28)
    """

    def __init__(
        self,
        dataset: Any,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        for name, function in (("transform", transform), ("target_transform", target_transform)):
            if function is not None and not callable(function):
                raise TypeError(f"TransformDataset: {name} must be a function, got {function!r}.")
        self.dataset = dataset
        self.transform = transform
        self.target_transform = target_transform

    def __getitem__(self, index: Any) -> Any:
        return self._transformed(self.dataset[index])

    def __getbatch__(self, indices: Sequence[int]) -> Any:
        """The transformed batch of the samples at these numbers."""
        return self._transformed(collated(self.dataset, indices))

    def __len__(self) -> int:
        return len(self.dataset)

    def _transformed(self, sample: Any) -> Any:
        if not isinstance(sample, (tuple, list)):
            return sample if self.transform is None else self.transform(sample)
        parts = list(sample)
        for i, function in enumerate((self.transform, self.target_transform)):
            if function is not None and i < len(parts):
                parts[i] = function(parts[i])
        return parts if isinstance(sample, list) else tuple(parts)
