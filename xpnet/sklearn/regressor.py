"""The regressor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from xpnet.nn import functional as F
from xpnet.sklearn.network import Network
from xpnet.tensor import Tensor
from xpnet_backends import Array


class XPRegressor(RegressorMixin, Network):  # type: ignore[misc]
    __doc__ = f"""A regression network with one or several values per sample, trained on the squared error.

    {(Network.__doc__ or "").partition(chr(10))[2].strip()}
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on samples X (N, D) and their values y (N,) or (N, O)."""
        return self._learn(X, y, sample_weight, not (self.warm_start and hasattr(self, "model_")), self.epochs)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch, on these samples."""
        return self._learn(X, y, sample_weight, not hasattr(self, "model_"), 1)

    def _learn(self, X: Any, y: Any, weight: Any, fresh: bool, epochs: Any) -> Self:
        X, y = self._checked(X, y, fresh=fresh, multi_output=True, y_numeric=True)
        values = y.reshape(len(y), -1).astype(X.dtype)
        if fresh:
            self._one_column = y.ndim == 1
        elif values.shape[1] != self._recipe["outputs"]:
            raise ValueError(f"y has {values.shape[1]} columns, it had {self._recipe['outputs']} at first")
        return self._fit(X, values, weight, values.shape[1], fresh=fresh, epochs=epochs)

    def _losses(self, output: Tensor, y: Array) -> Tensor:
        return F.mse_loss(output, y, reduction="none").mean(axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """The value of each sample, with the shape of y in ``fit``: (N,) or (N, O)."""
        values = self._outputs(X)
        return values[:, 0] if self._one_column else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _about(self) -> dict[str, Any]:
        return {"one_column": self._one_column}

    def _take(self, about: Mapping[str, Any]) -> None:
        self._one_column = bool(about["one_column"])
