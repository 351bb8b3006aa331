"""Networks as scikit-learn estimators, for pipelines, searches and cross-validation.

>>> from xpnet.sklearn import XPClassifier
>>> few = XPClassifier((8,), lr=0.05, epochs=50, random_state=0).fit([[0.0], [0.2], [0.8], [1.0]], ["a", "a", "b", "b"])
>>> few.predict([[0.1], [0.9]]).tolist()
['a', 'b']
"""

from xpnet._extras import MissingExtraError

try:
    from .classifier import XPClassifier
    from .regressor import XPRegressor
except ImportError as error:
    raise MissingExtraError('xpnet.sklearn needs scikit-learn 1.6 or newer: pip install "xpnet[sklearn]"') from error

__all__ = ["XPClassifier", "XPRegressor"]
