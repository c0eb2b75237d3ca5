"""How good a classifier is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.creation import from_host
from retrograd.autograd.tensor import Tensor, namespace

__all__ = ["Scores", "accuracy", "confusion_matrix", "precision_recall_f1"]


def accuracy(scores: Tensor, targets: Tensor, k: int = 1) -> float:
    """The share of samples whose true class is among the k with the highest scores.

    scores: (N, C), logits or probabilities; targets: (N,), integers. NaN for no samples at all. Raises ValueError for
    other shapes, and for a k that is not from 1 to C.

    >>> import retrograd as rg
    >>> scores = rg.tensor([[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5]])
    >>> accuracy(scores, rg.tensor([1, 2, 2])), accuracy(scores, rg.tensor([1, 2, 2]), k=2)
    (0.6666666666666666, 1.0)
    """
    _check_scores("accuracy", scores, targets)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"accuracy: k must be from 1 to {scores.shape[1]}, the number of classes, got {k!r}.")
    xp, array = namespace(scores), scores.detach().array
    if not len(array):
        return float("nan")
    if k == 1:
        hits = xp.argmax(array, axis=1) == targets.array
    else:
        best = xp.argsort(array, axis=1, descending=True)[:, :k]
        hits = xp.any(best == targets.array[:, None], axis=1)
    return int(xp.count_nonzero(hits)) / len(array)


def confusion_matrix(predictions: Tensor, targets: Tensor, num_classes: int | None = None) -> Tensor:
    """Counts, int64 (C, C): how many samples of class i (row) were taken for class j (column).

    predictions: (N,) classes, or (N, C) scores of which the highest counts; targets: (N,). num_classes: by default the
    number of scores, or one more than the largest class. Raises ValueError for other shapes and for classes outside.

    >>> import retrograd as rg
    >>> confusion_matrix(rg.tensor([0, 1, 1]), rg.tensor([0, 1, 0]))
    tensor([[1, 1],
            [0, 1]])
    """
    if predictions.ndim == 2:
        _check_scores("confusion_matrix", predictions, targets)
        num_classes = predictions.shape[1] if num_classes is None else num_classes
        predictions = ops.argmax(predictions.detach(), axis=1)
    if predictions.shape != targets.shape or targets.ndim != 1:
        raise ValueError(f"confusion_matrix: predictions {predictions.shape} do not fit targets {targets.shape}.")
    given, true = (namespace(t).to_host(t.array).astype(np.int64) for t in (predictions, targets))
    classes = np.concatenate([given, true])
    size = int(classes.max(initial=-1)) + 1 if num_classes is None else num_classes
    if classes.size and not 0 <= classes.min() <= classes.max() < size:
        found = f"{classes.min()} to {classes.max()}"
        raise ValueError(f"confusion_matrix: classes must be from 0 to {size - 1}, got {found}.")
    return from_host(np.bincount(true * size + given, minlength=size * size).reshape(size, size))


class Scores(NamedTuple):
    """Float64 tensors (C,), a value per class; 0 where it would be 0/0."""

    precision: Tensor
    recall: Tensor
    f1: Tensor


def precision_recall_f1(matrix: Tensor) -> Scores:
    """Per class: the share of right ones among those taken for it, the share of it that was found, and both's harmonic
    mean, from a confusion matrix (C, C). Their means over the classes are the macro averages.

    >>> import retrograd as rg
    >>> precision_recall_f1(rg.tensor([[8, 2], [4, 6]])).recall
    tensor([0.8000, 0.6000], dtype=rg.float64)
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"precision_recall_f1: expected a confusion matrix (C, C), got shape {matrix.shape}.")
    counts = namespace(matrix).to_host(matrix.array).astype(np.float64)
    right, given, true = np.diag(counts), counts.sum(0), counts.sum(1)
    shares = [
        np.divide(top, bottom, out=np.zeros_like(right), where=bottom > 0)
        for top, bottom in ((right, given), (right, true), (2 * right, given + true))
    ]
    return Scores(*[from_host(share) for share in shares])


def _check_scores(caller: str, scores: Tensor, targets: Tensor) -> None:
    if scores.ndim != 2 or targets.shape != scores.shape[:1]:
        raise ValueError(f"{caller}: expected scores (N, C) and targets (N,), got {scores.shape} and {targets.shape}.")
    if targets.dtype.kind not in "iu":
        raise ValueError(f"{caller}: targets must be class numbers, integers, got {targets.dtype}.")
