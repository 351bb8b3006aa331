"""Text: split into words, numbered, padded, batched."""

from .opinions import read_sentence_polarity, write_opinions
from .sequence_loader import SequenceLoader
from .vocabulary import Tokenizer, Vocabulary, pad_sequences
from .word_vectors import word_vectors

__all__ = [
    "SequenceLoader",
    "Tokenizer",
    "Vocabulary",
    "pad_sequences",
    "read_sentence_polarity",
    "word_vectors",
    "write_opinions",
]
