"""Data sets, their files, and the loaders that feed batches to a training loop."""

from retrograd.data import transforms
from retrograd.data.collate import default_collate, default_convert
from retrograd.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from retrograd.data.datasets import MNIST, Digits, FashionMNIST
from retrograd.data.loader import DataLoader
from retrograd.data.pinning import prefetch
from retrograd.data.samplers import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from retrograd.data.text import CharacterDataset, Vocabulary, split_text
from retrograd.data.transformed import TransformDataset
from retrograd.data.workers import WorkerInfo, get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "CharacterDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "Digits",
    "DistributedSampler",
    "FashionMNIST",
    "IterableDataset",
    "MNIST",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "TransformDataset",
    "Vocabulary",
    "WeightedRandomSampler",
    "WorkerInfo",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "prefetch",
    "random_split",
    "split_text",
    "transforms",
]
