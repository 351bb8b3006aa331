"""Pictures.  Every function takes lists or arrays and returns a figure; matplotlib is imported when one is called.

>>> from xpnet import plot
>>> figure = plot.curves({"epoch": [1, 2], "train_loss": [0.9, 0.4]})       # doctest: +SKIP
>>> plot.save(figure, "curves.png")                                        # doctest: +SKIP
"""

from .animation import save_gif
from .confusion import confusion
from .curves import curves
from .gradient_flow import gradient_flow
from .histograms import histograms
from .lr_range import lr_range
from .network import network
from .predictions import predictions
from .style import save

__all__ = [
    "confusion", "curves", "gradient_flow", "histograms", "lr_range", "network", "predictions", "save", "save_gif",
]  # fmt: skip
