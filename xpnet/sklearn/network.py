"""The shared base of classifier and regressor."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from xpnet import nn
from xpnet.data import ArrayDataset, DataLoader
from xpnet.serialization import CheckpointError, from_plain, load_with_metadata, save, to_plain
from xpnet.sklearn.build import build, on_host
from xpnet.tensor import Tensor
from xpnet.train import EarlyStopping, History, Trainer
from xpnet.train.trainer import predict
from xpnet_backends import Array, get_backend, to_numpy
from xpnet_backends.random import fork_rng

FORMAT, FIRST_FORMAT = "xpnet-estimator-2", "xpnet-estimator-1"  # the first stored tuples as lists
NOT_PLAIN = ("model", "optimizer", "random_state")  # parameters that may be functions and generators


class Network(BaseEstimator):  # type: ignore[misc]
    """The shared base of classifier and regressor: parameters, fitting and saving.

    Parameters
    ----------
    hidden_layer_sizes : widths of the hidden layers.
    activation : between the layers: relu, tanh, logistic, leaky_relu, elu, gelu, identity.
    dropout : probability of dropping a hidden unit in training.
    model : ``model(n_features, n_outputs)`` returns a ``Module``; it replaces the three parameters above.
    optimizer : sgd, rmsprop, adam, adamw, nadam, radam, adagrad, adamax; or a function
        ``(parameters, lr=, weight_decay=) -> Optimizer``.
    lr, weight_decay : learning rate and weight decay of the optimizer.
    epochs : passes over the training data.
    batch_size : samples per step; "auto" is 200, or all samples if there are fewer.
    early_stopping : hold out ``validation_fraction`` of the data, stop when its loss has not improved by ``tol`` for
        ``n_iter_no_change`` epochs, and restore the best weights.
    warm_start : let ``fit`` continue from the current weights.
    random_state : a seed, a generator, or None.
    backend : where it computes; None for the selected backend.
    verbose : print one line per epoch.

    Attributes
    ----------
    model_ : the network.
    history_ : one row per epoch.
    n_iter_ : the number of epochs.
    n_features_in_, feature_names_in_ : number and names of the columns of X.
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
        random_state: Any = None,
        backend: str | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.model = model
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.backend = backend
        self.verbose = verbose

    # -- fitting -------------------------------------------------------------------------------------------------

    def _fit(self, X: np.ndarray, y: np.ndarray, weight: Any, outputs: int, *, fresh: bool, epochs: Any) -> Self:
        """y: class numbers, or values (N, O).  A weight of 2 has the same effect as a duplicate row."""
        epochs = _positive("epochs", epochs)
        weight = _check_sample_weight(weight, X, dtype=X.dtype)
        if (weight < 0).any() or not weight.any():
            raise ValueError("sample_weight must be >= 0, and not 0 for all samples")
        kept = weight > 0
        X, y, weight = X[kept], y[kept], weight[kept] / weight[kept].mean()
        if fresh:
            self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            self._recipe = self._new_recipe(outputs, X.dtype)
            self._steps, self.history_ = 0, History()
        with fork_rng(self._seed, self._steps) as state:
            if fresh:
                self.model_, self._optimizer = build(self._recipe)
            for group in self._optimizer.param_groups:
                group["lr"] = python_number("lr", self.lr)
            self._train(X, y, weight, epochs)
            self._steps = state.step
        self.n_iter_ = len(self.history_)
        return self

    def _new_recipe(self, outputs: int, dtype: np.dtype[Any]) -> dict[str, Any]:
        names = ("hidden_layer_sizes", "activation", "dropout", "model", "optimizer", "lr", "weight_decay")
        recipe = {name: _python(getattr(self, name)) for name in names}
        recipe |= {name: python_number(name, recipe[name]) for name in ("dropout", "lr", "weight_decay")}
        backend = get_backend(self.backend).name
        return {**recipe, "inputs": self.n_features_in_, "outputs": outputs, "dtype": str(dtype), "backend": backend}

    def _train(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, epochs: int) -> None:
        backend = get_backend(self._recipe["backend"])
        y_there, weight_there = backend.asarray(y), backend.asarray(weight)

        def loss(output: Tensor, rows: Array) -> Tensor:
            each: Tensor = self._losses(output, y_there[rows]) * weight_there[rows]
            return each.mean()  # divided by the number of samples, not their weight, so that all batches count equally

        def metric(output: Array, rows: Array) -> Array:
            return (output.argmax(axis=1) == y_there[rows]).mean()

        rows, aside = np.arange(len(X)), None
        if self.early_stopping and epochs > 1:
            rows, aside = self._put_aside(y)
        size = self._size_of_batches(len(rows))
        trainer = Trainer(
            self.model_,
            loss,
            self._optimizer,
            metrics={"accuracy": metric} if is_classifier(self) else None,
            early_stopping=None if aside is None else EarlyStopping(patience=self.n_iter_no_change, min_delta=self.tol),
            callbacks=[_AtEpochEnd(_say)] if self.verbose else [],
        )
        trainer.epoch, trainer.history = len(self.history_), self.history_  # continue counting epochs
        data = DataLoader(ArrayDataset(X[rows], rows), size, shuffle=True, seed=self._seed, backend=backend)
        val = None if aside is None else ArrayDataset(X[aside], aside)
        trainer.fit(data, val, trainer.epoch + epochs, verbose=0)
        if aside is not None:
            trainer.load_best()

    def _put_aside(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        classes = y if is_classifier(self) else None
        rows, aside = train_test_split(
            np.arange(len(y)), test_size=_python(self.validation_fraction), stratify=classes, random_state=self._seed
        )
        return rows, aside

    def _size_of_batches(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        return min(_positive("batch_size", self.batch_size), n)

    def _losses(self, output: Tensor, y: Array) -> Tensor:
        """The loss of each sample, (N,)."""
        raise NotImplementedError

    def _checked(self, X: Any, y: Any, *, fresh: bool, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        """Check the parameters, then X and y.  X becomes float32 or float64, y is unchanged."""
        self._not_plain()
        X, y = validate_data(self, X, y, reset=fresh, dtype=(np.float64, np.float32), **options)
        return (X if fresh else X.astype(self._recipe["dtype"], copy=False)), y

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        backend = get_backend(self._recipe["backend"])
        return to_numpy(predict(self.model_, X.astype(self._recipe["dtype"], copy=False), backend))

    # -- keeping -------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Network and optimizer as arrays on the host, and the recipe to rebuild them."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = {key: to_numpy(value) for key, value in self.model_.state_dict().items()}
            state["_optimizer"] = on_host(self._optimizer.state_dict())
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(dict(state))
        if "model_" in state:
            with fork_rng(0):
                self.model_, self._optimizer = build(self._recipe)
            self.model_.load_state_dict(state["model_"])
            self._optimizer.load_state_dict(state["_optimizer"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator: weights as safetensors, the rest as JSON.

        Parameters are restored exactly, including tuples and NumPy numbers.  Functions (``model``, ``optimizer``) and
        generators (``random_state``) are not written: pass them to ``load``.

        Raises: ``NotFittedError`` (a ``ValueError``) before ``fit``; ``TypeError`` for a parameter that is not a plain
        value.
        """
        check_is_fitted(self, "model_")
        left_out = self._not_plain()
        about = {
            "estimator": type(self).__name__,
            "params": {name: value for name, value in self.get_params().items() if name not in left_out},
            "recipe": {name: value for name, value in self._recipe.items() if name not in left_out},
            "needs": [name for name in ("model", "optimizer") if name in left_out],
            "seed": self._seed,
            "steps": self._steps,
            "history": self.history_.rows,
            "features": getattr(self, "feature_names_in_", np.array([])).tolist(),
            **self._about(),
        }
        text = json.dumps(to_plain(about), allow_nan=False)
        save(self.model_.state_dict(), path, {"format": FORMAT, "estimator": text})

    def _not_plain(self) -> set[str]:
        """Names of the parameters that are not stored.  Raises: ``TypeError`` for one that should be but cannot."""
        left_out = set()
        for name, value in self.get_params(deep=False).items():
            try:
                to_plain(value)
            except TypeError as error:
                if name not in NOT_PLAIN:
                    raise TypeError(f"{type(self).__name__}: {name} cannot be {error}") from error
                left_out.add(name)
        return left_out

    def _about(self) -> dict[str, Any]:
        return {}

    def _take(self, about: Mapping[str, Any]) -> None:
        pass

    @classmethod
    def load(cls, path: str | os.PathLike[str], **params: Any) -> Self:
        """Load an estimator that ``save`` wrote; ``params`` replace those in the file.

        If training continues, the optimizer starts with a new state.

        Raises: ``CheckpointError`` if the file is damaged, or is not such an estimator.
        """
        arrays, metadata = load_with_metadata(path, "numpy")
        if metadata.get("format") not in (FORMAT, FIRST_FORMAT):
            raise CheckpointError(f"{os.fspath(path)} is no saved estimator (format {FORMAT})")
        try:
            about = from_plain(json.loads(metadata["estimator"]))
            if about["estimator"] != cls.__name__:
                raise ValueError(f"it is a {about['estimator']}, not a {cls.__name__}")
            if missing := set(about["needs"]) - set(params):
                raise ValueError(f"it was made with functions: give {', '.join(sorted(missing))} to load()")
            made = cls(**{**about["params"], **params})
            if metadata["format"] == FIRST_FORMAT and isinstance(made.hidden_layer_sizes, list):
                made.hidden_layer_sizes = tuple(made.hidden_layer_sizes)
            made.n_features_in_ = about["recipe"]["inputs"]
            made._recipe = {**made._new_recipe(1, np.dtype(np.float32)), **about["recipe"]}
            made._recipe["backend"] = get_backend(made.backend).name
            made._seed, made._steps, made.history_ = about["seed"], about["steps"], History(about["history"])
            made.n_iter_ = len(made.history_)
            if len(about["features"]) not in (0, made.n_features_in_):
                raise ValueError(f"it has {len(about['features'])} names for {made.n_features_in_} features")
            if about["features"]:
                made.feature_names_in_ = np.array(about["features"], dtype=object)
            with fork_rng(0):
                made.model_, made._optimizer = build(made._recipe)
            made.model_.load_state_dict(arrays)
            made._take(about)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{os.fspath(path)} cannot be taken up: {error}") from error
        return made


def _python(value: Any) -> Any:
    """NumPy numbers and arrays as Python objects, also inside tuples and lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return type(value)(map(_python, value)) if type(value) in (tuple, list) else value


def python_number(name: str, value: Any) -> float:
    """A numeric parameter as a Python number.  Raises: ``ValueError``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, (int, float, np.number)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    number = value.item() if isinstance(value, np.number) else value
    return float(number)


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive whole number, got {value!r}")
    return int(value)


class _AtEpochEnd:
    """A callback that runs a function at the end of each epoch."""

    def __init__(self, act: Callable[[Trainer, Mapping[str, Any]], None]) -> None:
        self.on_epoch_end = act

    def on_epoch_start(self, trainer: Trainer, epoch: int, batches: int) -> None:
        pass

    def on_batch_end(self, trainer: Trainer, meter: Any) -> None:
        pass


def _say(trainer: Trainer, row: Mapping[str, Any]) -> None:
    print("  ".join(f"{name} {value:.5g}" for name, value in row.items()), flush=True)
