"""Datasets, batches, and what is done to them."""

from . import augment
from .airline import load_airline_passengers, read_series
from .batch import Inputs, samples_in, split_batch
from .cifar import load_cifar10, read_cifar_archive, read_cifar_batch, read_cifar_records
from .collate import default_collate
from .dataset import ArrayDataset, train_val_split
from .datasets import ConcatDataset, Subset, TensorDataset, random_split
from .digit_csv import read_digit_csv, write_submission
from .digits import load_digits
from .errors import DataError, DataUnavailableError
from .idx import read_idx, write_idx
from .image_folder import ImageFolder
from .images import load_photographs, read_image, show_digit, to_digit, write_image
from .intervals import interval_widths
from .loader import DataLoader
from .mnist import load_fashion_mnist, load_mnist
from .opinions import read_sentence_polarity, write_opinions
from .protocols import Dataset, Loader, ResumableLoader
from .samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .scalers import MinMaxScaler, StandardScaler
from .sequence_loader import SequenceLoader
from .series import (
    WalkForward,
    chronological_split,
    difference,
    drift,
    naive,
    seasonal_means,
    seasonal_naive,
    sliding_windows,
    undifference,
    walk_forward,
)
from .tables import Table, TablePreprocessor, class_weights, embedded_table, read_table, split_rows
from .text import Tokenizer, Vocabulary, pad_sequences
from .transforms import Normalize, one_hot, to_float
from .word_vectors import word_vectors
from .workers import sample_generator

__all__ = [
    "ArrayDataset", "BatchSampler", "ConcatDataset", "DataError", "DataLoader", "DataUnavailableError", "Dataset",
    "ImageFolder", "Inputs", "Loader", "MinMaxScaler", "Normalize", "RandomSampler", "ResumableLoader", "Sampler",
    "SequenceLoader", "SequentialSampler", "StandardScaler", "Subset", "SubsetRandomSampler", "Table",
    "TablePreprocessor", "TensorDataset", "Tokenizer", "Vocabulary", "WalkForward", "WeightedRandomSampler",
    "augment", "chronological_split", "class_weights", "default_collate", "difference", "drift", "embedded_table",
    "interval_widths", "load_airline_passengers", "load_cifar10", "load_digits", "load_fashion_mnist", "load_mnist",
    "load_photographs", "naive", "one_hot", "pad_sequences", "random_split", "read_cifar_archive",
    "read_cifar_batch", "read_cifar_records", "read_digit_csv", "read_idx", "read_image", "read_sentence_polarity",
    "read_series", "read_table", "sample_generator", "samples_in", "seasonal_means", "seasonal_naive", "show_digit",
    "sliding_windows", "split_batch", "split_rows", "to_digit", "to_float", "train_val_split", "undifference",
    "walk_forward", "word_vectors", "write_idx", "write_image", "write_opinions", "write_submission",
]  # fmt: skip
