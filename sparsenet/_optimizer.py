"""What a training step does, as the kernels are told."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Optimizer:
    """What a training step does.

    "adam": Kingma & Ba 2015, arXiv:1412.6980. "adamw": with decoupled weight decay,
    Loshchilov & Hutter 2019, arXiv:1711.05101. "sgd": with momentum, Nesterov's where
    `nesterovs_momentum` is true. `learning_rate` is a number, or an array with one for
    each step of the epoch.

    A layer of density d behaves like one of d times the inputs, so that its best
    learning rate is 1 / d times as large (SµPar: Dey et al. 2024, arXiv:2405.15743).
    That holds for the first steps. Later, large steps are noise, and a rate that is
    best for all densities is about the dense layer's. So a weight begins at
    ``d ** -density_exponent`` times the learning rate and comes down to it as it ages,
    like ``beta_2 ** steps``: initial weights from the network's first step on, and with
    Adam the connections that grow from the step at which they do. Those start at zero;
    at the rate of old ones most of them would still be the smallest when the next round
    drops some, and the connections that were drawn first would stay for ever.
    doc/measurements.md has the figures.
    """

    solver: str
    learning_rate: float | np.ndarray
    #: L2 penalty, divided by the weight of a batch as in scikit-learn.
    alpha: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    density_exponent: float = 0.9
    #: Times the learning rate: the share that a weight loses in each step of "adamw".
    weight_decay: float = 0.0
    #: Gradients of a step, of the mean loss without L2, are scaled down to this norm.
    max_grad_norm: float | None = None
    #: Of the running average of the parameters; 0: there is none.
    ema_decay: float = 0.0
    #: Share of the outputs of each hidden layer that a step leaves out, at random.
    dropout: tuple = ()

    def averaged_at(self, ages):
        """What steps of these ages keep of the running average.

        It starts fast: for decays of any size the first weights are soon forgotten, as
        in TensorFlow's ExponentialMovingAverage.
        """
        return np.minimum(self.ema_decay, (1 + ages) / (10 + ages)).astype(np.float32)

    def after(self, n_steps):
        """What is left of an epoch when so many of its steps are done."""
        if np.ndim(self.learning_rate) == 0:
            return self
        return replace(self, learning_rate=self.learning_rate[n_steps:])

    def young_rate(self, density):
        """Learning rate of new weights of a layer over that of old ones."""
        return density**-self.density_exponent
