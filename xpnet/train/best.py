"""The weights of the best epoch, in the run's folder, or in memory without a folder."""

from __future__ import annotations

from pathlib import Path

from xpnet.nn import Module
from xpnet.serialization import CheckpointError, load, save
from xpnet_backends import Array, Backend


class BestWeights:
    """Stores the best state dict, and restores it."""

    def __init__(self) -> None:
        self._memory: dict[str, Array] | None = None

    def keep(self, model: Module, folder: Path | None, info: dict[str, str]) -> None:
        """Store the model's current weights."""
        if folder is None:
            self._memory = model.state_dict()
        else:
            save(model.state_dict(), folder / "best.safetensors", info)

    def take_over(self, checkpoint: Path, folder: Path | None, backend: Backend) -> None:
        """Without a folder: read the best weights beside a checkpoint, because all later epochs may be worse."""
        beside = checkpoint.with_name("best.safetensors")
        self._memory = load(beside, backend) if folder is None and beside.exists() else None

    def load_into(self, model: Module, folder: Path | None, backend: Backend, epochs: int, found: bool) -> None:
        """Load the best weights into the model.

        epochs, found : the number of finished epochs, and whether one of them was the best.

        Raises: ``CheckpointError`` if the file is missing, damaged or of another model; ``ValueError`` if no weights
        were stored.
        """
        if folder is None:
            if self._memory is None:
                raise ValueError(_nothing_kept(epochs))
            model.load_state_dict(self._memory)
            return
        path = folder / "best.safetensors"
        if not path.exists():
            why = f"although {epochs} epochs are done: start a new run" if epochs else "no epoch was finished yet"
            if epochs and not found:
                why = "because " + _NEVER.format(epochs)
            raise CheckpointError(f"{path} is missing, {why}")
        try:
            model.load_state_dict(load(path, backend))
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"{path} does not fit this model: {error}") from error


def _nothing_kept(epochs: int) -> str:
    if not epochs:
        return "load_best(): no epoch was finished yet, so there are no best weights"
    return f"load_best(): there are no best weights, because {_NEVER.format(epochs)}"


_NEVER = "in none of the {} epochs was the monitored value finite"
