"""A model's outputs, and its loss and metrics over data."""

from __future__ import annotations

from typing import Any

from xpnet.data.loading.dataset import as_array
from xpnet.nn import Module
from xpnet.nn.utils import keep_modes
from xpnet.tensor import Tensor, no_grad
from xpnet.train.counting import counted_targets, weighed
from xpnet.train.feed import Feed, run
from xpnet.train.meter import Meter, measure
from xpnet.train.step import Step, samples_of, unwarned
from xpnet_backends import Array, Backend, backend_of


def evaluate(step: Step, loader: Any) -> dict[str, float]:
    """Loss and metrics of a step's model over a loader, in evaluation mode, without gradients."""
    feed = Feed(loader)
    meter = Meter(step.backend, {"loss": None, **step.metrics}, feed.size or 0)
    with keep_modes(step.model), no_grad(), unwarned():
        step.model.eval()
        for inputs, target, _ in feed:
            output = run(step.model, inputs)
            loss, count, ignored = weighed(step.loss, output, target, step.count)
            labels = counted_targets(target, ignored)
            raw = output.data if isinstance(output, Tensor) else output
            values = {name: measure(metric, raw, labels) for name, metric in step.metrics.items()}
            if meter.batches == meter.capacity:
                meter.grow()
            meter.add(samples_of(inputs), {"loss": loss.data, **values}, count)
    return meter.means()


def predict(model: Module, inputs: Any, backend: Backend, batch_size: int = 1024) -> Array:
    """A model's outputs for all ``inputs``, in evaluation mode, without gradients, batch by batch."""
    array = as_array(inputs)
    home = backend_of(array)
    with keep_modes(model), no_grad():
        model.eval()
        batches = (array[i : i + batch_size] for i in range(0, len(array), batch_size))
        parts = [model(x if home is backend else backend.asarray(home.to_numpy(x))).data for x in batches]
    if not parts:
        raise ValueError("predict() needs at least one input")
    return backend.xp.concatenate(parts)
