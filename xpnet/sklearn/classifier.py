"""The classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from xpnet import nn
from xpnet.nn import functional as F
from xpnet.serialization import to_plain
from xpnet.sklearn.network import Network
from xpnet.tensor import Tensor
from xpnet_backends import Array


class XPClassifier(ClassifierMixin, Network):  # type: ignore[misc]
    __doc__ = f"""A classification network, trained on the cross-entropy.

    ``class_weight`` : "balanced", or weights by class.  ``classes_`` : the classes, in the order of ``predict_proba``.

    {(Network.__doc__ or "").partition(chr(10))[2].strip()}
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        model: Callable[[int, int], nn.Module] | None = None,
        optimizer: Any = "adam",
        lr: float = 0.001,
        weight_decay: float = 0.0,
        epochs: int = 200,
        batch_size: int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        class_weight: Any = None,
        random_state: Any = None,
        backend: str | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation=activation,
            dropout=dropout,
            model=model,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            epochs=epochs,
            batch_size=batch_size,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            random_state=random_state,
            backend=backend,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on samples X (N, D) and their classes y (N,)."""
        fresh = not (self.warm_start and hasattr(self, "model_"))
        X, y = self._checked(X, y, fresh=fresh)
        check_classification_targets(y)
        classes = np.unique(y)
        if fresh:
            self.classes_ = _checked_classes(classes)
        return self._learn(X, y, sample_weight, fresh=fresh, epochs=self.epochs)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one more epoch, on these samples.  The first call needs the list of all ``classes``."""
        fresh = not hasattr(self, "model_")
        if fresh and classes is None:
            raise ValueError("the first call of partial_fit needs classes: all that will ever come")
        X, y = self._checked(X, y, fresh=fresh)
        check_classification_targets(y)
        if fresh:
            self.classes_ = _checked_classes(np.unique(classes))
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes {np.unique(classes)} are not those of the first call, {self.classes_}")
        return self._learn(X, y, sample_weight, fresh=fresh, epochs=1)

    def _learn(self, X: np.ndarray, y: np.ndarray, weight: Any, *, fresh: bool, epochs: int) -> Self:
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds classes that were not there at first: {unknown}, not among {self.classes_}")
        if self.class_weight is not None:
            weight = _check_sample_weight(weight, X, dtype=X.dtype) * compute_sample_weight(self.class_weight, y)
        numbers = np.searchsorted(self.classes_, y).astype(np.int64)
        return self._fit(X, numbers, weight, len(self.classes_), fresh=fresh, epochs=epochs)

    def _losses(self, output: Tensor, y: Array) -> Tensor:
        return F.cross_entropy(output, y, reduction="none")

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (N, C), in the order of ``classes_``."""
        probabilities: np.ndarray = np.exp(self.predict_log_proba(X))
        return probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities (N, C)."""
        logits = self._outputs(X)
        z = logits - logits.max(axis=1, keepdims=True)  # exp cannot overflow: z <= 0
        log_probabilities: np.ndarray = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return log_probabilities

    def predict(self, X: Any) -> np.ndarray:
        """The most likely class of each sample, (N,)."""
        numbers = self._outputs(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[numbers]
        return labels

    def _about(self) -> dict[str, Any]:
        return {"classes": self.classes_}

    def _take(self, about: Mapping[str, Any]) -> None:
        classes = about["classes"]
        if "kind" in about:  # the first format
            kind = np.dtype(about["kind"])
            if kind.kind not in "biufUO" or kind.itemsize > 10_000:
                raise ValueError(f"classes cannot be of the dtype {kind}")
            classes = np.array(classes, dtype=kind)
        self.classes_ = np.asarray(classes)
        if len(self.classes_) != self._recipe["outputs"]:
            raise ValueError(f"it has {len(self.classes_)} classes and {self._recipe['outputs']} outputs")


def _checked_classes(classes: np.ndarray) -> np.ndarray:
    """Classes of a dtype that a file can store."""
    try:
        to_plain(classes)
    except TypeError as error:
        raise ValueError(f"classes must be truth values, numbers or text: {error}") from error
    return classes
