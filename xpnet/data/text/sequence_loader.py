"""Batches of sequences of different lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.data.text.vocabulary import pad_sequences
from xpnet_backends import Array, Backend, get_backend, random
from xpnet_backends.random import Stream

SequenceBatch = tuple[tuple[Array, Array], Array | None]


class SequenceLoader:
    """``(tokens (B, T), lengths (B,)), labels (B, ...)``: each batch padded to its own longest sequence.

    With ``bucket`` = k the shuffled data are split into pools of k batches.  Each pool is sorted by length and cut into
    batches, which are returned in random order.  This needs little padding, and groups samples differently every epoch.
    Epoch e is a function of (seed, e) only (stream "data.shuffle"), so that a resumed run gets the same batches as an
    uninterrupted one.  ``Trainer.fit`` accepts this loader; the model is called with ``(tokens, lengths)``.

    Raises: ``ValueError`` for no sequences, an empty one, a different number of labels, an invalid batch size, or
    buckets without shuffling.
    """

    def __init__(
        self,
        sequences: Sequence[Any],
        labels: Any = None,
        batch_size: int = 32,
        *,
        shuffle: bool = False,
        bucket: int | None = None,
        drop_last: bool = False,
        max_length: int | None = None,
        padding: int = 0,
        seed: int | None = None,
        backend: str | Backend | None = None,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be a positive whole number, got {batch_size!r}")
        if batch_size > len(sequences) > 0:
            raise ValueError(f"batch_size {batch_size} is larger than the data ({len(sequences)} sequences)")
        if bucket is not None and (bucket < 1 or not shuffle):
            raise ValueError(
                f"bucket={bucket!r} must be a number of batches >= 1, with shuffle=True: it changes the order"
            )
        self._rows, self._lengths = pad_sequences(sequences, _width(sequences, max_length), value=padding)
        self._labels = None if labels is None else np.asarray(labels)
        if self._labels is not None and len(self._labels) != len(self._rows):
            raise ValueError(f"sequences and labels differ in number: {len(self._rows)} and {len(self._labels)}")
        self.batch_size, self.shuffle, self.bucket, self.drop_last = batch_size, shuffle, bucket, drop_last
        self.seed = random.state.seed if seed is None else seed
        self.backend = get_backend(backend)
        self.epoch = 0  # the epoch of the next pass
        self.position = 0  # the first batch of the next pass

    def __len__(self) -> int:
        whole, rest = divmod(len(self._rows), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[SequenceBatch]:
        epoch, start = self.epoch, self.position
        self.epoch, self.position = epoch + 1, 0
        return (self._batch(chosen) for chosen in self._order(epoch)[start:])

    def _order(self, epoch: int) -> list[np.ndarray]:
        """The indices of the sequences in each batch."""
        n, size = len(self._rows), self.batch_size
        generator = Stream(self.seed, "data.shuffle", epoch).generator()
        order = generator.permutation(n) if self.shuffle else np.arange(n)
        if self.bucket is not None:
            pools = [order[i : i + size * self.bucket] for i in range(0, n, size * self.bucket)]
            order = np.concatenate([pool[np.argsort(self._lengths[pool], kind="stable")] for pool in pools])
        batches = [order[i : i + size] for i in range(0, n, size)][: len(self)]
        return batches if self.bucket is None else [batches[i] for i in generator.permutation(len(batches))]

    def _batch(self, chosen: np.ndarray) -> SequenceBatch:
        lengths = self._lengths[chosen]
        tokens = self._rows[chosen, : lengths.max()]
        bring = self.backend.asarray
        labels = None if self._labels is None else bring(self._labels[chosen])
        return (bring(tokens), bring(lengths)), labels

    def state_dict(self) -> dict[str, int]:
        """The epoch and the first batch of the next pass."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Start the next pass at a saved position."""
        epoch, position = int(state["epoch"]), int(state["position"])
        if epoch < 0 or not 0 <= position <= len(self):
            raise ValueError(f"there is no batch {position} of {len(self)} in epoch {epoch}")
        self.epoch, self.position = epoch, position


def _width(sequences: Sequence[Any], limit: int | None) -> int | None:
    """The length of the longest sequence, at most the limit."""
    return limit if limit is None else min(limit, max((len(sequence) for sequence in sequences), default=limit))
