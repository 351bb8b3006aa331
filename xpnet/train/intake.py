"""Check and convert the data for ``fit`` and ``evaluate``: arrays, frames, lists, datasets or loaders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xpnet import nn
from xpnet.data import ArrayDataset, DataLoader, Dataset
from xpnet.tensor import Tensor
from xpnet_backends import Array, Backend, is_array

_OTHER_NAMES = {
    **dict.fromkeys(("validation_data", "val_data", "eval_set", "valid", "validation"), "val=(inputs, targets)"),
    "validation_split": "val=, with both parts from xpnet.data.train_val_split(dataset, 0.2)",
    **dict.fromkeys(("n_epochs", "num_epochs", "max_epochs", "nb_epoch"), "epochs="),
    "callbacks": "Trainer(..., callbacks=[...])", "shuffle": "a DataLoader(dataset, shuffle=...)",
    "class_weight": "a loss with weights, functools.partial(F.cross_entropy, weight=...)",
    "sample_weight": "a loss of your own that weights its samples", "steps_per_epoch": "a DataLoader of your own",
    "x": "the data by position, fit(x, y)", "X": "the data by position, fit(x, y)", "progress": "verbose=",
}  # fmt: skip


_PAIR = "the {} must be a pair (inputs, targets), a dataset or a loader, got {}"


def refuse_names(unknown: dict[str, Any]) -> None:
    """Reject unknown options, with the replacement for names of other libraries.  Raises: ``TypeError``."""
    for name in unknown:
        fix = _OTHER_NAMES.get(name)
        known = "train, y, epochs, batch_size, val, verbose"
        raise TypeError(f"fit() has no option {name!r}: {f'use {fix}' if fix else f'it takes {known}'}")


def is_loader(data: Any) -> bool:
    """Whether ``data`` yields batches: it can be iterated, and is neither values nor a dataset of samples.

    A list whose entries are tuples or dicts of arrays is a list of batches.
    """
    if isinstance(data, list) and data:
        parts = data[0].values() if isinstance(data[0], Mapping) else data[0] if isinstance(data[0], tuple) else ()
        return any(is_array(part) or isinstance(part, Tensor) for part in parts)
    if isinstance(data, tuple | str | bytes | Mapping) or is_values(data) or is_dataset(data):
        return False
    return hasattr(data, "__iter__")


def is_dataset(data: Any) -> bool:
    """Whether ``data`` gives samples by number."""
    known = isinstance(data, tuple | list | str | bytes | Mapping) or is_values(data)
    return not known and not hasattr(data, "load_state_dict") and isinstance(data, Dataset)


def is_values(data: Any) -> bool:
    """Whether ``data`` is or can become one array: a tensor, a pandas frame or column, lists of numbers."""
    return is_array(data) or isinstance(data, Tensor | list) or hasattr(data, "to_numpy")


def _is_pair(data: Any) -> bool:
    if not isinstance(data, tuple | list) or len(data) != 2:
        return False
    return all(is_values(part) for part in data) and not (isinstance(data, list) and isinstance(data[0], list))


def split(train: Any, y: Any, val: Any) -> tuple[Any, Any]:
    """Training and validation data from the arguments of ``fit``.

    If the first argument is an array, the second is its target.  If it is a pair, a dataset or a loader, the second is
    the validation data.

    Raises: ``TypeError`` or ``ValueError`` for other combinations.
    """
    listed = isinstance(train, list) and _is_pair(train) and not (is_values(y) and not _is_pair(y))
    if not (is_values(train) or is_loader(train) or is_dataset(train) or isinstance(train, tuple)):
        raise TypeError(_PAIR.format("training data", describe(train)))
    if not is_values(train) or listed or is_loader(train):
        if y is not None and val is not None:
            raise TypeError("fit() got validation data twice: the first argument has its targets, so the second is val")
        second = val if y is None else y
        if second is not None and is_values(second) and not _is_pair(second):
            raise TypeError(
                f"fit(): the first argument is {describe(train)}, so the second must be validation data, a pair "
                f"(inputs, targets) or a loader; got {describe(second)}"
            )
        return train, second
    if y is None:
        raise TypeError(
            f"fit(): the first argument is {describe(train)} without targets: use fit(x, y), or fit(x, x) to learn the "
            "inputs themselves"
        )
    if not is_values(y) or (_is_pair(y) and len(train) != 2):
        raise TypeError(
            f"fit(): the first argument is {describe(train)}, so the second must be its targets, got {describe(y)}: "
            "use fit(x, y, val=(x_val, y_val))"
        )
    return (train, y), val


def describe(data: Any) -> str:
    """A short description of data for error messages."""
    if isinstance(data, tuple | list) and len(data) <= 4 and all(is_values(part) for part in data):
        return f"{type(data).__name__} ({', '.join(describe(part) for part in data)})"
    if hasattr(data, "shape"):
        kind = getattr(data, "dtype", type(data).__name__)
        return f"{kind}{tuple(data.shape)}"
    return f"{type(data).__name__} of length {len(data)}" if hasattr(data, "__len__") else repr(data)


def as_dataset(data: Any, model: nn.Module, what: str = "data") -> ArrayDataset:
    """A dataset of arrays from a dataset or a pair.

    Lists and frames are converted to the model's dtype; arrays keep theirs.

    Raises: ``TypeError`` or ``ValueError`` that describes the data.
    """
    dataset = data if isinstance(data, ArrayDataset) else _from_pair(data, model, what)
    if dataset.targets is None:
        raise ValueError(f"the {what} have no targets: {dataset!r}")
    dataset.check_finite()
    return dataset


def _from_pair(data: Any, model: nn.Module, what: str) -> ArrayDataset:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(_PAIR.format(what, describe(data)))
    inputs, targets = data
    if inputs is None or targets is None:
        raise TypeError(f"the {what} lack their {'inputs' if inputs is None else 'targets'}: give both, got None")
    embeds = any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in model.modules())
    inputs = _array(inputs, model, f"inputs of the {what}", numbers=not embeds)
    return ArrayDataset(inputs, _array(targets, model, f"targets of the {what}", numbers=False))


def _array(values: Any, model: nn.Module, what: str, *, numbers: bool) -> Array:
    """``values`` as an array; with ``numbers``, integers in lists and frames become floating point."""
    if isinstance(values, Tensor):
        values = values.data
    if is_array(values) and values.dtype.kind in "fiub":
        return values
    if hasattr(values, "dtypes") and hasattr(values, "columns"):
        wrong = [str(name) for name, kind in values.dtypes.items() if getattr(kind, "kind", "O") not in "fiub"]
        if wrong:
            raise TypeError(
                f"the {what} have columns that are not numbers ({', '.join(wrong[:5])}): encode them first, e.g. with "
                "xpnet.data.TablePreprocessor or pandas.get_dummies"
            )
    try:
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    except ValueError as error:
        raise ValueError(f"the {what} are not an array: their rows differ in length ({error})") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(_not_numbers(array, what))
    dtype = next((p.dtype for p in model.parameters()), np.dtype("float32"))
    return array.astype(dtype) if array.dtype.kind == "f" or numbers else array


def _not_numbers(array: np.ndarray, what: str) -> str:
    some = ", ".join(repr(value) for value in array.reshape(-1)[:3].tolist())
    fix = "convert them to numbers"
    if what.startswith("targets") and array.dtype.kind in "OUS":
        fix = "number the classes, e.g. classes, y = numpy.unique(y, return_inverse=True)"
    return f"the {what} are not numbers but {array.dtype} ({some}, ...): {fix}"


def as_loader(
    data: Any, model: nn.Module, backend: Backend, batch_size: int, *, shuffle: bool, what: str = "data"
) -> Any:
    """``data`` itself if it yields batches, else a loader for it.

    Raises: ``TypeError`` or ``ValueError`` that describes the data.
    """
    if is_loader(data):
        return data
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        hint = ": give arrays as a pair, (x, y)" if hasattr(batch_size, "shape") else ""
        raise ValueError(f"batch_size must be a positive whole number, got {describe(batch_size)}{hint}")
    if is_dataset(data) and not isinstance(data, ArrayDataset):
        return DataLoader(data, int(batch_size), shuffle=shuffle, backend=backend)
    dataset = as_dataset(data, model, what)
    return DataLoader(dataset, int(min(batch_size, len(dataset))), shuffle=shuffle, backend=backend)


def whole_epochs(epochs: Any) -> int:
    """``epochs`` as an int.  Raises: ``ValueError`` unless it is a positive whole number."""
    if isinstance(epochs, bool) or not isinstance(epochs, int | np.integer) or epochs < 1:
        hint = "" if isinstance(epochs, int | float | str) else "; validation data go into val=(inputs, targets)"
        raise ValueError(f"epochs must be a positive whole number, got {describe(epochs)}{hint}")
    return int(epochs)
