"""Datasets and batches: what is loaded, in which order, by whom."""

from .batch import Inputs, samples_in, split_batch
from .collate import default_collate
from .dataset import ArrayDataset, train_val_split
from .datasets import ConcatDataset, Subset, TensorDataset, random_split
from .loader import DataLoader
from .protocols import Dataset, Loader, ResumableLoader
from .samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .workers import sample_generator

__all__ = [
    "ArrayDataset",
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "Inputs",
    "Loader",
    "RandomSampler",
    "ResumableLoader",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "random_split",
    "sample_generator",
    "samples_in",
    "split_batch",
    "train_val_split",
]
