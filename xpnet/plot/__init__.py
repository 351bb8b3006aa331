"""Pictures.  Every function takes lists or arrays and returns a figure; matplotlib is imported when one is called.

>>> from xpnet import plot
>>> figure = plot.curves({"epoch": [1, 2], "train_loss": [0.9, 0.4]})       # doctest: +SKIP
>>> plot.save(figure, "curves.png")                                        # doctest: +SKIP
"""

from .confusion import confusion
from .curves import curves
from .lr_range import lr_range
from .predictions import predictions
from .profile import profile
from .style import save
from .tuning import tuning, tuning_table

__all__ = ["confusion", "curves", "lr_range", "predictions", "profile", "save", "tuning", "tuning_table"]
