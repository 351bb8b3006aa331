"""Pictures.  Every function takes lists or arrays and returns a figure; matplotlib is imported when one is called.

>>> from xpnet import plot
>>> figure = plot.curves({"epoch": [1, 2], "train_loss": [0.9, 0.4]})       # doctest: +SKIP
>>> plot.save(figure, "curves.png")                                        # doctest: +SKIP
"""

from .confusion import confusion
from .curves import curves
from .forecast import errors_by_step, forecast
from .lr_range import lr_range
from .predictions import predictions
from .ranking import precision_recall, roc
from .style import save
from .words import words

__all__ = [
    "confusion", "curves", "errors_by_step", "forecast", "lr_range", "precision_recall", "predictions", "roc", "save",
    "words",
]  # fmt: skip
