"""Pictures.  Every function takes lists or arrays and returns a figure; matplotlib is imported when one is called.

>>> from xpnet import plot
>>> figure = plot.curves({"epoch": [1, 2], "train_loss": [0.9, 0.4]})       # doctest: +SKIP
>>> plot.save(figure, "curves.png")                                        # doctest: +SKIP
"""

from .confusion import confusion
from .curves import curves
from .feature_maps import feature_maps
from .filters import filters
from .gaps import gaps
from .heatmap import heatmap_overlay
from .lr_range import lr_range
from .predictions import predictions
from .style import save

__all__ = [
    "confusion",
    "curves",
    "feature_maps",
    "filters",
    "gaps",
    "heatmap_overlay",
    "lr_range",
    "predictions",
    "save",
]
