"""Images: files and folders of them, and the datasets that are made of them."""

from .cifar import load_cifar10, read_cifar_archive, read_cifar_batch, read_cifar_records
from .digit_csv import read_digit_csv, write_submission
from .digits import load_digits
from .files import load_photographs, read_image, show_digit, to_digit, write_image
from .image_folder import ImageFolder
from .mnist import load_fashion_mnist, load_mnist

__all__ = [
    "ImageFolder",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
    "load_mnist",
    "load_photographs",
    "read_cifar_archive",
    "read_cifar_batch",
    "read_cifar_records",
    "read_digit_csv",
    "read_image",
    "show_digit",
    "to_digit",
    "write_image",
    "write_submission",
]
