"""Datasets, batches, and what is done to them."""

from .cifar import load_cifar10, read_cifar_archive, read_cifar_batch, read_cifar_records
from .dataset import ArrayDataset, train_val_split
from .digit_csv import read_digit_csv, write_submission
from .digits import load_digits
from .errors import DataError, DataUnavailableError
from .idx import read_idx, write_idx
from .images import read_image, show_digit, to_digit
from .loader import DataLoader
from .mnist import load_fashion_mnist, load_mnist
from .transforms import Normalize, one_hot, to_float

__all__ = [
    "ArrayDataset", "DataError", "DataLoader", "DataUnavailableError", "Normalize", "load_cifar10", "load_digits",
    "load_fashion_mnist", "load_mnist", "one_hot", "read_cifar_archive", "read_cifar_batch", "read_cifar_records",
    "read_digit_csv", "read_idx", "read_image", "show_digit", "to_digit", "to_float", "train_val_split", "write_idx",
    "write_submission",
]  # fmt: skip
