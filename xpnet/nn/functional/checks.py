"""Input checks of the functions."""

from __future__ import annotations

from typing import Any

from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import Array, is_array


def check_probability(name: str, p: float) -> float:
    """``p`` if it is in 0..1.  Raises: ``ValueError``."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name} must be a probability between 0 and 1, got {p!r}")
    return p


def check_reduction(reduction: str, *, batchmean: bool = False) -> str:
    """``reduction`` if it is a known name.  Raises: ``ValueError``."""
    if reduction not in ("mean", "sum", "none") and not (batchmean and reduction == "batchmean"):
        known = "'batchmean', 'mean', 'sum' or 'none'" if batchmean else "'mean', 'sum' or 'none'"
        raise ValueError(f"reduction must be {known}, got {reduction!r}")
    return reduction


def check_same_shape(name: str, prediction: Tensor, target: Tensor) -> None:
    """Check that both shapes are equal.  Raises: ``ValueError``."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"{name}: prediction has shape {prediction.shape}, target {target.shape}: they must be equal (broadcasting "
            "here is nearly always a mistake); reshape one of them, e.g. target.reshape(-1, 1)"
        )


def check_range(name: str, x: Tensor, low: float, high: float, remedy: str) -> None:
    """Check that values are in low..high or NaN.  On a GPU nothing is checked, to avoid a synchronisation."""
    if not x.backend.on_host:
        return
    values = x.data
    wrong = values[(values < low) | (values > high)]
    if wrong.size:
        raise ValueError(f"{name}: values must lie in {low:g}..{high:g}, got {float(wrong[0]):g}: {remedy}")


def floating(name: str, x: TensorLike) -> Tensor:
    """``x`` as a tensor.  Raises: ``TypeError`` unless it is floating-point."""
    t = as_tensor(x)
    if t.dtype.kind != "f":
        raise TypeError(f"{name}: expected floating-point input, got {t.dtype}: convert it, e.g. x.astype('float32')")
    return t


def measured(name: str, prediction: TensorLike, target: TensorLike) -> tuple[Tensor, Tensor]:
    """Prediction and target of a regression.  Raises: ``TypeError`` unless both are floating-point; ``ValueError``.

    Integer targets are refused, because they are usually class indices.
    """
    p, t = floating(name, prediction), as_tensor(target)
    if t.dtype.kind != "f":
        raise TypeError(
            f"{name}: expected a floating-point target, got {t.dtype}: class indices belong to cross_entropy; convert "
            f"what was measured, e.g. target.astype('{p.dtype}')"
        )
    check_same_shape(name, p, t)
    return p, t


def target_of(target: TensorLike, x: Tensor) -> Tensor:
    """Labels, counts or probabilities as a tensor.  Integers are converted to the dtype of the prediction."""
    t = as_tensor(target)
    return t if t.dtype.kind == "f" else t.astype(x.dtype)


def constant(x: TensorLike | None, like: Tensor) -> Any:
    """Constants of a loss.  Lists and numbers become arrays of the input's dtype and backend."""
    if x is None:
        return None
    if not isinstance(x, Tensor) and not is_array(x):
        return like.backend.asarray(x, like.dtype)
    return x if x.dtype.kind == "f" else x.astype(like.dtype)


def check_labels(name: str, labels: Tensor, classes: int, ignore_index: int | None = None) -> None:
    """Check that labels are in range; on the CPU only, because reading them on a GPU would force a synchronisation."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got {labels.dtype}")
    if not labels.backend.on_host or not labels.size:
        return
    values = labels.data
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high < classes:
        return
    wrong = values[out_of_range(values, classes, ignore_index)]
    if wrong.size:
        raise ValueError(
            f"{name}: label {int(wrong[0])} is out of range for {classes} classes (0..{classes - 1}); "
            f"{wrong.size} of {values.size} labels are"
        )


def out_of_range(labels: Array, classes: int, ignore_index: int | None = None) -> Array:
    """Which labels are neither a class index 0..C−1 nor ``ignore_index``."""
    wrong: Array = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
    return wrong
