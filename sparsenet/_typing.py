"""Types that public signatures share, for type checkers and editors.

Modules import it under ``TYPE_CHECKING`` only. A test holds the strings against what
parameters allow.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsenet._untyped import sparray, spmatrix

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])

#: X of an estimator. Data frames are array-like.
MatrixLike: TypeAlias = ArrayLike | sparray | spmatrix
#: X of a predictor, which converts nothing.
Rows: TypeAlias = NDArray[np.floating[Any]] | sparray | spmatrix
#: Of the type of X: float32 or float64.
Floats: TypeAlias = NDArray[np.floating[Any]]
#: One for each layer or output.
Each: TypeAlias = Sequence[T] | NDArray[Any]

Precision: TypeAlias = Literal["float32", "bfloat16", "float16", "int8"]
Activation: TypeAlias = Literal[
    "identity", "logistic", "tanh", "relu",
    "leaky_relu", "elu", "selu", "silu", "gelu", "mish",
]  # fmt: skip
Density: TypeAlias = float | Literal["auto"] | Each[float]
DensityDistribution: TypeAlias = Literal["erdos_renyi", "uniform"]
Solver: TypeAlias = Literal["adam", "adamw", "sgd", "lbfgs"]
LearningRate: TypeAlias = (
    Literal["constant", "invscaling", "adaptive"]
    | Literal["cosine", "flat_cosine", "one_cycle", "coslog4"]
    | Callable[[float], float]
)
SparseTraining: TypeAlias = Literal["static", "set", "rigl", "gradual"]
ClassifierLoss: TypeAlias = Literal["log_loss", "focal"]
RegressorLoss: TypeAlias = Literal[
    "squared_error", "poisson", "gamma", "absolute_error", "huber", "quantile"
]
ClassWeight: TypeAlias = (
    Mapping[Any, float] | Sequence[Mapping[Any, float]] | Literal["balanced"] | None
)
Scoring: TypeAlias = str | Callable[..., float] | None
