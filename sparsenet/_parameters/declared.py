"""Types of the parameters that both estimators have, for type checkers and editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from sparsenet._typing import (
        Activation,
        Density,
        DensityDistribution,
        Each,
        LearningRate,
        Precision,
        Scoring,
        Solver,
        SparseTraining,
    )


class DeclaredParameters:
    """Annotations without values; a test holds them against the signatures."""

    hidden_layer_sizes: int | Each[int]
    activation: Activation | Each[Activation]
    solver: Solver
    alpha: float
    batch_size: int | Literal["auto"]
    learning_rate: LearningRate
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    density: Density
    density_distribution: DensityDistribution
    block_size: Literal[1, 4]
    sparse_training: SparseTraining
    rewire_interval: int
    rewire_fraction: float
    rewire_until: float
    initial_density: float
    precision: Precision
    n_threads: int | None
    weight_decay: float
    warmup: float
    max_grad_norm: float | None
    ema_decay: float
    dropout: float | Each[float]
    scoring: Scoring
    restore_best: bool
    train_scores: bool
    time_limit: float | None
