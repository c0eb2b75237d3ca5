"""Thin helpers around a training loop of one's own: when to stop, what to keep, how good it is, where it goes wrong."""

from retrograd.training.best import Best, EarlyStopping
from retrograd.training.checkpoint import BestCheckpoint, load_checkpoint, save_checkpoint
from retrograd.training.gradients import GradientReport, gradient_norms, nonfinite
from retrograd.training.metrics import Scores, accuracy, confusion_matrix, precision_recall_f1
from retrograd.training.search import Float, Integer, SearchResult, search

__all__ = [
    "Best",
    "BestCheckpoint",
    "EarlyStopping",
    "Float",
    "GradientReport",
    "Integer",
    "Scores",
    "SearchResult",
    "accuracy",
    "confusion_matrix",
    "gradient_norms",
    "load_checkpoint",
    "nonfinite",
    "precision_recall_f1",
    "save_checkpoint",
    "search",
]
