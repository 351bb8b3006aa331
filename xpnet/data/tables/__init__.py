"""Tables: read a CSV file strictly, detect the kinds of its columns, and encode them as numbers."""

from .columns import Column
from .embedded import EMBEDDED, embedded_table
from .kinds import KINDS, Guess, guess_column, guess_task
from .preprocess import TablePreprocessor
from .reader import MISSING, Table, read_table
from .rows import class_weights, split_rows

__all__ = [
    "EMBEDDED", "KINDS", "MISSING", "Column", "Guess", "Table", "TablePreprocessor", "class_weights", "embedded_table",
    "guess_column", "guess_task", "read_table", "split_rows",
]  # fmt: skip
