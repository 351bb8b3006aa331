"""Embedding tables: one vector for each word, category or other index."""

from __future__ import annotations

from typing import Any, Self

from xpnet.nn import functional as F
from xpnet.nn import init
from xpnet.nn.functional.embedding import MODES
from xpnet.nn.module import Module, new_parameter
from xpnet.tensor import Tensor, TensorLike, no_grad, placed_tensor
from xpnet_backends import Backend


class _Table(Module):
    """A table of V rows, initialised from the standard normal distribution, except the padding row, which is zero."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        backend: str | Backend | None,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        for what, value in (("num_embeddings", num_embeddings), ("embedding_dim", embedding_dim)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: {what} must be a positive whole number, got {value!r}")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(
                f"{name}: padding_idx must lie in {-num_embeddings}..{num_embeddings - 1}, got {padding_idx}"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = new_parameter((num_embeddings, embedding_dim), backend, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    @classmethod
    def from_pretrained(cls, embeddings: TensorLike, freeze: bool = True, **options: Any) -> Self:
        """A table with the given values (V, D).  ``freeze`` excludes it from training."""
        values = placed_tensor(embeddings, backend=options.get("backend"))
        if values.ndim != 2:
            raise ValueError(f"{cls.__name__}: expected a table (V, D), got shape {values.shape}")
        rows, features = values.shape
        here: dict[str, Any] = {"backend": values.backend, "dtype": values.dtype}
        table = cls(num_embeddings=rows, embedding_dim=features, **(here | options))
        with no_grad():
            table.weight.copy_(values)
        table.weight.requires_grad = not freeze
        return table

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Embedding(_Table):
    """``y = weight[x]``.  x (...,) of integers in 0..V−1, weight (V, D) -> y (..., D).

    Parameters
    ----------
    num_embeddings, embedding_dim : V and D.
    padding_idx : a row that is initially zero and has no gradient.
    backend, dtype : of the parameters.

    >>> Embedding(10, 4)([[1, 2, 3]]).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, backend, dtype)

    def forward(self, x: TensorLike) -> Tensor:
        return F.embedding(x, self.weight, self.padding_idx)


class EmbeddingBag(_Table):
    """Sum, mean or maximum of the rows of each bag.  x (N, L), or (M,) with offsets (N,) -> y (N, D).

    Parameters
    ----------
    num_embeddings, embedding_dim : the shape (V, D) of the table.
    mode : "sum", "mean" or "max".
    include_last_offset : the last offset is the end of the last bag.
    padding_idx : an index that is ignored.
    backend, dtype : of the parameters.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        mode: str = "mean",
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, backend, dtype)
        if mode not in MODES:
            raise ValueError(f"EmbeddingBag: mode must be 'sum', 'mean' or 'max', got {mode!r}")
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(
        self, x: TensorLike, offsets: TensorLike | None = None, per_sample_weights: TensorLike | None = None
    ) -> Tensor:
        return F.embedding_bag(
            x,
            self.weight,
            offsets,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, mode={self.mode!r}"
