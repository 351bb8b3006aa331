"""Pictures.  Every function returns a matplotlib Figure; matplotlib is imported only when one is called."""

from .confusion import confusion
from .curves import curves
from .predictions import predictions
from .style import save

__all__ = ["confusion", "curves", "predictions", "save"]
