"""Pictures.  Every function takes lists or arrays and returns a figure; matplotlib is imported on the first call.

>>> from xpnet import plot
>>> figure = plot.curves({"epoch": [1, 2], "train_loss": [0.9, 0.4]})       # doctest: +SKIP
>>> plot.save(figure, "curves.png")                                        # doctest: +SKIP
"""

from .animation import save_gif
from .boundary import decision_boundary
from .confusion import confusion
from .curves import curves
from .descent import descent
from .feature_maps import feature_maps
from .filters import filters
from .forecast import errors_by_step, forecast
from .gaps import gaps
from .gradient_flow import gradient_flow
from .heatmap import heatmap_overlay
from .histograms import histograms
from .landscape import loss_contours, loss_curves, loss_surface
from .lines import lines, panels
from .lr_range import lr_range
from .network import network
from .pictures import pictures
from .predictions import predictions
from .profile import profile
from .ranking import precision_recall, roc
from .style import save
from .tuning import tuning, tuning_table
from .words import words

__all__ = [
    "confusion", "curves", "decision_boundary", "descent", "errors_by_step", "feature_maps", "filters",
    "forecast", "gaps", "gradient_flow", "heatmap_overlay", "histograms", "lines", "loss_contours",
    "loss_curves", "loss_surface", "lr_range", "network", "panels", "pictures", "precision_recall",
    "predictions", "profile", "roc", "save", "save_gif", "tuning", "tuning_table", "words",
]  # fmt: skip
