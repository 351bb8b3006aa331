"""Datasets, loaders and transforms."""

from . import augment
from .errors import DataError, DataUnavailableError
from .images import (
    ImageFolder,
    load_cifar10,
    load_digits,
    load_fashion_mnist,
    load_mnist,
    load_photographs,
    read_cifar_archive,
    read_cifar_batch,
    read_cifar_records,
    read_digit_csv,
    read_image,
    show_digit,
    to_digit,
    write_image,
    write_submission,
)
from .loading import (
    ArrayDataset,
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    Inputs,
    Loader,
    RandomSampler,
    ResumableLoader,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
    sample_generator,
    samples_in,
    split_batch,
    train_val_split,
)
from .readers import read_idx, write_idx
from .scalers import MinMaxScaler, StandardScaler
from .series import (
    WalkForward,
    chronological_split,
    difference,
    drift,
    interval_widths,
    load_airline_passengers,
    naive,
    read_series,
    seasonal_means,
    seasonal_naive,
    sliding_windows,
    undifference,
    walk_forward,
)
from .tables import Table, TablePreprocessor, class_weights, embedded_table, read_table, split_rows
from .text import (
    SequenceLoader,
    Tokenizer,
    Vocabulary,
    pad_sequences,
    read_sentence_polarity,
    word_vectors,
    write_opinions,
)
from .transforms import Normalize, one_hot, to_float

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
