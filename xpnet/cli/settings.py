"""The settings of a run, and the model, optimizer and schedule that they describe."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from xpnet import __version__, metrics, models, nn, optim
from xpnet.data import TablePreprocessor
from xpnet.data.images.digit_csv import is_csv
from xpnet.data.images.pictures import PictureRecipe
from xpnet.data.suggest import did_you_mean
from xpnet.optim import lr_scheduler
from xpnet_backends import Backend, backend_names, get_backend

MODELS = models.NAMES
OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adamw")
SCHEDULES = ("none", "cosine", "step", "linear", "plateau")
AUGMENTS = ("none", "shift", "crop-flip")
LEARNING_RATES = {"sgd": 0.1, "momentum": 0.05, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}

EPOCHS = {"digits": 50}  # a small dataset has few steps per epoch
TASKS = ("classification", "regression")
CLASS_WEIGHTS = ("none", "balanced")
SPLITS = ("random", "time")


class UsageError(ValueError):
    """A command was used wrongly."""


@dataclass
class Settings:
    """Everything that determines a run, stored in ``config.json``."""

    dataset: str
    model: str = "mlp"
    hidden: list[int] = field(default_factory=lambda: [128])
    epochs: int = 0
    batch_size: int = 64
    optimizer: str = "adam"
    lr: float = math.nan
    schedule: str = "cosine"
    dropout: float = 0.0
    weight_decay: float = 0.0
    l1: float = 0.0
    clip_norm: float = 0.0  # 0 for no clipping
    accumulate: int = 1
    ema: float = 0.0  # 0 for no averaging
    augment: str = "none"
    seed: int = 0
    val_split: float = 0.1
    metric: list[str] = field(default_factory=list)  # measured in addition to loss and accuracy
    data_dir: str | None = None
    backend: str = "numpy"
    asked_for: str | None = None  # the requested dataset, if a fallback was used
    input_shape: list[int] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    normalize: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)  # a PictureRecipe: the form of the training images
    version: str = ""
    # for runs on tables only
    target: str | None = None
    task: str = ""  # empty if guessed, and for images
    class_weight: str = "none"
    kinds: dict[str, str] = field(default_factory=dict)
    split: str = "random"
    header: bool | None = None
    delimiter: str | None = None  # None if guessed, as the fields below
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    missing: list[str] = field(default_factory=list)
    table: dict[str, Any] = field(default_factory=dict)  # the preprocessing, fitted on the training rows

    def __post_init__(self) -> None:
        if math.isnan(self.lr):
            self.lr = LEARNING_RATES[self.optimizer]
        if self.target is None:  # those of a table depend on its size
            self.epochs = self.epochs or EPOCHS.get(self.dataset, 15)

    def to_json(self) -> str:
        """The settings as stored in ``config.json``."""
        return json.dumps(asdict(self), indent=2) + "\n"


def check_picture(out: str | None, example: str) -> None:
    """Check in advance that a picture can be written to ``out``.  Raises: ``UsageError``."""
    if out is None:
        return
    if not out.lower().endswith(".png"):
        raise UsageError(f"--out is the name of a picture, e.g. {example}; got {out}")
    if not Path(out).parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {Path(out).parent}")


def choose_backend(name: str | None) -> Backend:
    """The backend asked for on the command line; the default is "auto"."""
    name = name or "auto"
    if name not in (*backend_names(), "auto"):
        near = did_you_mean(name, [*backend_names(), "auto"])
        raise UsageError(f"unknown backend {name!r}: choose one of {', '.join(backend_names())}, auto{near}")
    return get_backend(name)


def _check_steps(settings: Settings) -> None:
    """The options of a training step other than its optimizer."""
    if not isinstance(settings.accumulate, int) or settings.accumulate < 1:
        raise ValueError(f"accumulate must be a positive whole number, got {settings.accumulate!r}")
    if not 0.0 <= settings.l1 < math.inf or not 0.0 <= settings.clip_norm < math.inf:
        raise ValueError(f"l1 and clip_norm must be numbers >= 0, got {settings.l1!r} and {settings.clip_norm!r}")
    if not 0.0 <= settings.ema < 1.0:
        raise ValueError(f"ema must be at least 0 and below 1, got {settings.ema!r}")


def read_settings(run: Path) -> Settings:
    """The settings of a run's folder.  Raises: ``UsageError`` if there is no run, ``ValueError`` if it is damaged."""
    path = run / "config.json"
    if not path.is_file():
        raise UsageError(f"{run} is not the folder of a run: it has no config.json{_where_runs_are(run)}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or "dataset" not in values:
            raise ValueError("its entries are not those of a run")
        if unknown := sorted(set(values) - {f.name for f in fields(Settings)}):
            by = f"xpnet {values.get('version') or 'unknown'}, this is {__version__}"
            raise ValueError(f"{unknown[0]!r} is not known here (the run was made by {by})")
        wrong = [f.name for f in fields(Settings) if f.name in values and not _is_a(f.type, values[f.name])]
        if wrong:
            raise ValueError(f"{wrong[0]} cannot be {values[wrong[0]]!r:.60}")
        settings = Settings(**values)
        _check(settings)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} was damaged or edited: {error}") from error
    return settings


def keep_paths(settings: Settings) -> None:
    """Make the path of the data absolute, so that the run can be used from any folder."""
    if settings.data_dir is not None:
        settings.data_dir = os.path.abspath(Path(settings.data_dir).expanduser())
    elif _is_file(settings):
        path = Path(os.path.abspath(Path(settings.dataset).expanduser()))
        settings.data_dir, settings.dataset = str(path.parent), path.name


def move_data(settings: Settings, data_dir: str | None) -> None:
    """Use data from another folder than the stored one; for a table ``data_dir`` is the new folder or the new file."""
    if data_dir is None:
        return
    place = Path(data_dir).expanduser()
    if not place.exists():
        raise UsageError(f"--data-dir {data_dir}: there is no such folder")
    if _is_file(settings):
        name = Path(settings.dataset).name
        if place.is_file():
            place, settings.dataset = place.parent, place.name
        elif Path(settings.dataset).is_absolute() or not (place / settings.dataset).exists():
            settings.dataset = name
    settings.data_dir = os.path.abspath(place)


def _is_file(settings: Settings) -> bool:
    """Whether the dataset is a file and not a named dataset."""
    return settings.target is not None or is_csv(settings.dataset)


def runs_in(folder: Path) -> list[str]:
    """The runs whose folders are in this one."""
    return sorted(str(path.parent) for path in folder.glob("*/config.json"))


def _where_runs_are(run: Path) -> str:
    """A hint on what may have been meant by a path that is not a run's folder."""
    if (run.parent / "config.json").is_file():
        return f"; its folder is {run.parent}"
    if (inside := runs_in(run)) or (inside := runs_in(run / "runs")):
        return f"; there are runs in it: {', '.join(inside[:5])}{', ...' if len(inside) > 5 else ''}"
    near = runs_in(run.parent) if run.parent.is_dir() else []
    elsewhere = Path("runs") / run.name
    return f"; did you mean '{elsewhere}'?" if str(elsewhere) in runs_in(Path("runs")) else did_you_mean(str(run), near)


def _is_a(kind: Any, value: Any) -> bool:
    """Whether a value from JSON has the declared type of a field of ``Settings``."""
    match kind:
        case "str":
            return isinstance(value, str)
        case "str | None":
            return value is None or isinstance(value, str)
        case "bool | None":
            return value is None or isinstance(value, bool)
        case "int":
            return type(value) is int and 0 <= value < 1 << 64
        case "float":
            return type(value) in (int, float) and 0.0 <= value < 1e300
        case "list[int]" | "list[str]":
            return isinstance(value, list) and all(_is_a(kind[5:-1], entry) for entry in value)
        case "dict[str, str]":
            return isinstance(value, dict) and all(_is_a("str", entry) for entry in value.values())
    return isinstance(value, dict) and all(_finite(entry) for entry in value.values())


def _finite(value: Any) -> bool:
    """Whether all numbers in a value from JSON are finite and of a reasonable size."""
    if isinstance(value, (list, dict)):
        return all(_finite(entry) for entry in (value if isinstance(value, list) else value.values()))
    return not isinstance(value, (int, float)) or abs(value) < 1e300


def _check(settings: Settings) -> None:
    choices = {"model": MODELS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "augment": AUGMENTS}
    choices |= {"class_weight": CLASS_WEIGHTS, "split": SPLITS}
    if settings.target is not None:
        choices |= {"task": TASKS, "model": ("mlp",)}
        TablePreprocessor.from_state(settings.table["preprocessing"])
    for name, allowed in choices.items():
        if getattr(settings, name) not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(settings, name)!r}")
    _check_steps(settings)
    metrics.named(settings.metric)  # raises for an unknown name
    numbers = [*settings.hidden, *settings.input_shape, settings.epochs, settings.batch_size]
    if not all(isinstance(n, int) and n > 0 for n in numbers):
        raise ValueError("widths, shape, epochs and batch_size must be positive whole numbers")
    if settings.target is None:
        _check_normalize(settings.normalize)
        if settings.pictures:
            PictureRecipe.from_state(settings.pictures)


def _check_normalize(state: dict[str, Any]) -> None:
    if set(state) != {"mean", "std"}:
        raise ValueError("normalize must hold mean and std")
    numbers = [n for entry in state.values() for n in np.ravel(np.array(entry, dtype=object))]
    if not all(type(n) is float for n in numbers) or not np.all(np.array(state["std"], dtype=float)):
        raise ValueError("normalize must hold numbers, and standard deviations other than 0")


def build_model(settings: Settings, backend: Backend) -> nn.Module:
    """The network that the settings describe, with fresh weights."""
    try:
        return models.build(
            settings.model,
            settings.input_shape,
            len(settings.classes) or 1,
            hidden=settings.hidden,
            dropout=settings.dropout,
            backend=backend,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def build_optimizer(settings: Settings, model: nn.Module) -> optim.Optimizer:
    """The optimizer that the settings describe."""
    parameters = model.named_parameters()
    common: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer in ("sgd", "momentum"):
        return optim.SGD(parameters, momentum=0.9 if settings.optimizer == "momentum" else 0.0, **common)
    kinds: dict[str, Any] = {"rmsprop": optim.RMSprop, "adam": optim.Adam, "adamw": optim.AdamW}
    made: optim.Optimizer = kinds[settings.optimizer](parameters, **common)
    return made


def build_schedule(settings: Settings, optimizer: optim.Optimizer) -> Any:
    """The learning-rate schedule that the settings describe; None for a constant rate."""
    epochs = settings.epochs
    if settings.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    if settings.schedule == "step":
        return lr_scheduler.StepLR(optimizer, step_size=max(1, epochs // 3))
    if settings.schedule == "linear":
        return lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.05, total_iters=epochs)
    if settings.schedule == "plateau":
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=2)
    return None
