"""The ops of ONNX's domain ``ai.onnx.ml`` (classical machine learning) that scikit-learn's networks use.

Text labels stay NumPy arrays on the host.  Source: github.com/onnx/onnx/blob/main/docs/Operators-ml.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet.interchange.onnx.messages import OnnxError
from xpnet.interchange.onnx.reader_call import Call, like_input, on_device, raw, to_host
from xpnet.tensor import Tensor, concatenate
from xpnet.tensor import where as where_of


def array_feature_extractor(call: Call, x: Any, indices: Any) -> Any:
    """Columns by index: x (..., C), indices of any shape -> (..., number of indices)."""
    places = to_host(indices).reshape(-1)
    x = x.reshape((1, -1)) if x.ndim == 1 else x
    length = x.shape[-1] if x.ndim else 0
    if places.dtype.kind not in "iu" or (places.size and not (places.min() >= 0 and places.max() < length)):
        raise OnnxError(f"ArrayFeatureExtractor of places {places[:5].tolist()} from an axis of {length}")
    return x[..., on_device(places, x) if isinstance(x, Tensor) else places]


def binarizer(call: Call, x: Any) -> Any:
    return like_input(x, (raw(x) > call.get("threshold", float, 0.0)).astype(raw(x).dtype))


def feature_vectorizer(call: Call, x: Tensor, *rest: Tensor) -> Any:
    """Concatenate columns, as floating-point numbers."""
    parts = [t.reshape((t.shape[0], -1)) for t in (x, *rest)]
    dtype = next((t.dtype for t in parts if t.dtype.kind == "f"), np.dtype(np.float32))
    return concatenate([t if t.dtype == dtype else t.astype(dtype) for t in parts], axis=1)


def imputer(call: Call, x: Tensor) -> Tensor:
    """Replace NaN, or a number that marks missing values."""
    new = _row(call, "imputed_value_floats", x)
    old = call.get("replaced_value_float", float, 0.0)
    missing = x != x if old != old else x == old
    return where_of(missing, new, x)


def normalizer(call: Call, x: Tensor) -> Tensor:
    """Scale rows to norm 1; rows of zeros are unchanged."""
    norm = call.get("norm", str, "MAX")
    if norm not in ("MAX", "L1", "L2"):
        raise OnnxError(f"Normalizer with norm={norm!r}, supported are MAX, L1 and L2")
    if norm == "L2":
        length = (x * x).sum(axis=-1, keepdims=True).sqrt()
    else:
        length = abs(x).sum(axis=-1, keepdims=True) if norm == "L1" else x.max(axis=-1, keepdims=True)
    y: Tensor = x / where_of(length == 0.0, 1.0, length)
    return y


def scaler(call: Call, x: Tensor) -> Tensor:
    """``(x − offset) · scale``."""
    x = x if x.dtype.kind == "f" else x.astype(np.float32)
    return (x - _row(call, "offset", x)) * _row(call, "scale", x)


def _row(call: Call, name: str, x: Tensor) -> Tensor:
    """One number for each column, or one for all."""
    values = np.array(call.get(name, list, []), np.float32)
    if values.size not in (1, x.shape[-1]):
        raise OnnxError(f"{name} has {values.size} numbers for {x.shape[-1]} columns")
    return on_device(values, x)


_KINDS = {"strings": (str, "_Unused"), "int64s": (int, -1), "floats": (float, -0.0)}


def label_encoder(call: Call, x: Any) -> np.ndarray[Any, Any]:
    """Map each value by a table."""
    keys, _ = _table(call, "keys")
    values, kind = _table(call, "values")
    if len(keys) != len(values) or not len(keys):
        raise OnnxError(f"LabelEncoder of {len(keys)} keys and {len(values)} values")
    fallback = call.options.get("default_tensor")
    names = {"strings": "default_string", "int64s": "default_int64", "floats": "default_float"}
    other = _KINDS[kind][1] if kind in names else 0
    other = call.options.get(names.get(kind, ""), other) if fallback is None else np.asarray(fallback).reshape(-1)[0]
    table = dict(zip(keys, values, strict=True))
    given = to_host(x)
    found = [table.get(key, other) for key in given.reshape(-1).tolist()]
    dtype = {"strings": np.str_, "int64s": np.int64, "floats": np.float32}.get(kind, np.asarray(values).dtype)
    return np.array(found, dtype).reshape(given.shape)


def _table(call: Call, what: str) -> tuple[list[Any], str]:
    for kind in (*_KINDS, "tensor"):
        found = call.options.get(f"{what}_{kind}")
        if found is not None and len(found):
            return (found if isinstance(found, list) else np.asarray(found).reshape(-1).tolist()), kind
    return [], ""


def zip_map(call: Call, x: Any) -> Any:
    """The probabilities unchanged, one column for each class; they are not converted to a list of dicts."""
    return x


LABEL_OPS: dict[str, Callable[..., Any]] = {
    "ai.onnx.ml.ArrayFeatureExtractor": array_feature_extractor,
    "ai.onnx.ml.Binarizer": binarizer,
    "ai.onnx.ml.FeatureVectorizer": feature_vectorizer,
    "ai.onnx.ml.Imputer": imputer,
    "ai.onnx.ml.LabelEncoder": label_encoder,
    "ai.onnx.ml.Normalizer": normalizer,
    "ai.onnx.ml.Scaler": scaler,
    "ai.onnx.ml.ZipMap": zip_map,
}
