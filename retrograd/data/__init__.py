"""Data sets, their files, and the loaders that feed batches to a training loop."""

from retrograd.data.collate import default_collate, default_convert
from retrograd.data.dataset import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from retrograd.data.datasets import MNIST, Digits, FashionMNIST
from retrograd.data.loader import DataLoader
from retrograd.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from retrograd.data.workers import WorkerInfo, get_worker_info

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "Digits",
    "FashionMNIST",
    "IterableDataset",
    "MNIST",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]
