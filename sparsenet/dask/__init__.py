"""Estimators that train on a Dask cluster: the extra ``sparsenet[dask]``."""

try:
    import distributed  # noqa: F401
except ImportError as _error:
    raise ImportError(
        f"sparsenet.dask needs dask and distributed, of which {_error.name!r} is "
        "missing; install them with: pip install 'sparsenet[dask]'"
    ) from _error

from sparsenet.dask._estimators import SparseMLPClassifier, SparseMLPRegressor
from sparsenet.dask._tables import TabularMLPClassifier, TabularMLPRegressor

__all__ = [
    "SparseMLPClassifier",
    "SparseMLPRegressor",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
]

for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
