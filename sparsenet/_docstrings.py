"""What the docstrings of the two estimators share, written once."""

import inspect

SHARED = {
    "architecture": """\
hidden_layer_sizes : int or array-like of int, default=(100,)
    Number of units in each hidden layer, each in [1, 2**31 - 1]. An empty sequence
    makes a linear model.

activation : str, default='relu'
    Activation function of the hidden layers: 'identity', 'logistic', 'tanh', 'relu', as
    in scikit-learn, 'leaky_relu' (a slope of 0.01 for negative values), 'silu'
    (``z / (1 + exp(-z))`` [6]_), or 'gelu' (z times the normal distribution function of
    z [7]_). The derivatives of the last two take 4 bytes for each unit and sample of a
    mini-batch.""",
    "training": """\
solver : {'adam', 'sgd'}, default='adam'
    How weights are updated: with Adam [1]_ or by stochastic gradient descent.
    scikit-learn's 'lbfgs' is not implemented yet and raises an error.

alpha : float, default=0.0001
    Strength of the L2 regularization, >= 0. The loss of a mini-batch contains
    ``alpha / 2 * ||W||^2``, divided by the sum of its sample weights.

batch_size : int or 'auto', default='auto'
    Size of the mini-batches, >= 1; 'auto' is ``min(200, n_samples)``.

learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
    Schedule of the learning rate. Used only with ``solver='sgd'``.

    - 'constant' is `learning_rate_init` throughout.
    - 'invscaling' is ``learning_rate_init / (t_ + 1) ** power_t`` in each epoch, where
      `t_` counts the training samples seen before it.
    - 'adaptive' starts from `learning_rate_init`, and where training would otherwise
      stop, it divides by 5 and goes on, until it has reached 1e-6.

learning_rate_init : float, default=0.001
    The initial learning rate, > 0.

power_t : float, default=0.5
    Exponent of 'invscaling', >= 0.

max_iter : int, default=200
    Largest number of epochs of a call of `fit`, >= 1.

shuffle : bool, default=True
    Whether to visit the samples in a new random order in each epoch.

random_state : int, RandomState instance or None, default=None
    Draws the connections, the initial weights, the validation samples of early
    stopping and the order of samples. An int makes `fit` reproducible, with any number
    of threads. From a RandomState only calls that succeed draw.

tol : float, default=1e-4
    An epoch is an improvement if the training loss falls, or the validation score
    rises, by at least so much, >= 0.

verbose : bool or int, default=False
    Whether to print the progress of training.

warm_start : bool, default=False
    Whether `fit` goes on from the weights and connections of the last call, with a new
    optimizer, or starts anew.

momentum : float, default=0.9
    Momentum of the updates, in [0, 1]. Used only with ``solver='sgd'``.

nesterovs_momentum : bool, default=True
    Whether the momentum is Nesterov's. Used only with ``solver='sgd'``.

early_stopping : bool, default=False
    Whether to set validation samples aside, to stop when their score no longer
    improves, and to keep the connections and weights with the best score. Not
    available in `partial_fit`.

validation_fraction : float, default=0.1
    Share of the samples that `early_stopping` sets aside, in [0, 1).

beta_1 : float, default=0.9
    Decay of Adam's estimate of the first moment, in [0, 1).

beta_2 : float, default=0.999
    Decay of Adam's estimate of the second moment, in [0, 1).

epsilon : float, default=1e-8
    Number added to Adam's denominator, >= 2**-126, the smallest one of float32.

n_iter_no_change : int or numpy.inf, default=10
    Training stops after more than so many epochs in a row without improvement.

max_fun : int, default=15000
    Belongs to ``solver='lbfgs'`` and has no effect without it.

density : 'auto', float or array-like of float, default='auto'
    Share of the connections that exist, in (0, 1].

    - 'auto': a hidden unit keeps a tenth of its inputs, but at least 32 of them (all,
      where there are fewer). The output layer is dense.
    - a number: density of all hidden layers together, where a unit keeps at least 8 of
      its inputs. The output layer is dense.
    - a sequence: density of each weight matrix, that of the output layer last.

density_distribution : {'erdos_renyi', 'uniform'}, default='erdos_renyi'
    How a number given as `density` is spread over the hidden layers.

    - 'erdos_renyi': a layer's density is proportional to
      ``(n_in + n_out) / (n_in * n_out)``, so that narrow layers are denser [2]_.
    - 'uniform': each has that density.

block_size : {1, 4}, default=1
    How many neighbouring units of a sparse layer share their inputs. Blocks of 4 are
    chosen, dropped and grown as one, by the sums of their magnitudes [5]_. They are
    multiplied faster and take fewer bytes in a pickle. The first layer of a network
    for sparse X has them where its number of units is a multiple of 4.

sparse_training : {'static', 'set', 'rigl', 'gradual'}, default='set'
    How the connections of sparse layers change during training. Their number does not,
    but with 'gradual'.

    - 'static': not at all; they are drawn at random.
    - 'set': in each round, every unit drops the connections with the smallest weights
      and draws as many new ones at random [2]_.
    - 'rigl': it draws those where the gradient of the last mini-batch is largest
      instead [3]_. Where there is no gradient, connections stay: those of a unit that
      is dead, and those of features of a sparse X that the mini-batch lacks.
    - 'gradual': training starts with `initial_density` and every round prunes the
      smallest weights of each unit, until `density` is reached [4]_. Time and memory
      are those of the denser network at first.

rewire_interval : int, default=100
    Steps (mini-batches) from one round to the next, >= 1, counted over all calls. A
    round that would come after `rewire_until` comes at the beginning of the next call.
    A first call without any round warns.

rewire_fraction : float, default=0.3
    Share of the connections that are replaced, in (0, 1]. It falls with each round, to
    0 along half a cosine wave. Used only with 'set' and 'rigl'.

rewire_until : float or int, default=0.75
    When connections begin to stay as they are.

    - a float in (0, 1]: after this share of training. Each call of `fit` is a training
      of `max_iter` epochs, on a warm start, too. A call of `partial_fit` is an epoch,
      however many samples it has, of the training that the last call of `fit` began or,
      without one, the first call of `partial_fit`.
    - an int >= 1: after so many epochs, counted from the first call on and over all
      calls. Where `fit` is called with few epochs at a time, this makes a schedule as
      long as all of them; and where 'gradual' is to be done after many calls.

initial_density : float, default=1.0
    Density of the hidden layers before the first round of 'gradual', in (0, 1]; layers
    start with at least what `density` gives them.

precision : {'float32', 'bfloat16', 'float16', 'int8'}, default='float32'
    Number format of weights, activations and deltas in the forward and backward pass.
    The optimizer works in float32 in any case. 'float16' holds numbers up to 65,504:
    X with larger ones is refused, and so are models whose weights or activations
    become larger.

n_threads : int or None, default=None
    Number of OpenMP threads, at most 1024. None follows ``OMP_NUM_THREADS``,
    threadpoolctl and the number of cores. Results do not depend on it.""",
    "attributes": """\
loss_ : float
    Mean training loss of the last epoch; nan if Ctrl-C left none complete.

best_loss_ : float or None
    Smallest training loss of an epoch; None with early stopping. Epochs in which
    ``sparse_training='gradual'`` still prunes do not count.

loss_curve_ : list of float
    Training loss of each epoch.

validation_scores_ : list of float or None
    What `score` would give for the validation samples after each epoch; None without
    early stopping.

best_validation_score_ : float or None
    Largest of `validation_scores_`, likewise; None without early stopping.

t_ : int
    Number of training samples seen, each counted in every epoch.

coefs_ : list of scipy.sparse.csc_array
    Weight matrix of each layer, of shape (n_in, n_out), float32. Made when asked for.

intercepts_ : list of ndarray
    Biases of each layer, of shape (n_out,), float32. Made when asked for.

topology_ : Topology
    Connections of each layer (`layers`: `n_connections`, `density`, and `fan_in` and
    `fan_out` of each unit) and of each round of rewiring (`rounds`); ``print`` shows a
    table. Made when asked for.

n_features_in_ : int
    Number of features.

feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features, if X had names and all of them are strings.

n_iter_ : int
    Number of epochs of the last call of `fit` or `partial_fit`.

n_layers_ : int
    Number of layers, input and output included.

n_outputs_ : int
    Number of outputs.

out_activation_ : str
    Activation function of the output layer.""",
    "notes": """\
X may be dense or sparse. float32 and float64 are taken as they are, other types as
float64, and predictions have the type of X. A network that is first fitted on sparse X
stores its first layer feature by feature: a training step then costs, there, what the
non-zeros of its batch cost, with the result of steps that update all features. Each
feature has the same number of connections, the whole number (of blocks; at least one)
with which a unit has, on average, most nearly as many inputs as `density` says. CSR is
taken as it is where its rows are sorted and free of duplicates, and copied once where
not. Dense X is made sparse for such a network, and sparse X dense, 64 rows at a time,
for one first fitted on dense X.

Loss, regularization and schedules are scikit-learn's. The initial weights are bounded
by the number of connections that a unit has, not by the width of the layer before.

A pickle taken after `fit` holds the weights in their number format; one taken after
`partial_fit` also what only training needs, the optimizer's state and float32 weights,
so that a loaded estimator goes on to the same bits. `set_pickle` chooses otherwise.
`copy.copy` and `copy.deepcopy` always keep everything.

A call of `fit` or `partial_fit` that raises leaves the estimator exactly as it was; it
trains a copy of the network, which takes the place of the old one at the end. Ctrl-C
ends training with a warning, and what was learned stays; a second one, while the first
is handled, gives up the whole call.""",
    "references": """\
.. [1] Kingma, D. P., & Ba, J. (2015). "Adam: A method for stochastic optimization."
       ICLR. https://arxiv.org/abs/1412.6980

.. [2] Mocanu, D. C., et al. (2018). "Scalable training of artificial neural networks
       with adaptive sparse connectivity inspired by network science." Nature
       Communications 9, 2383. https://doi.org/10.1038/s41467-018-04316-3

.. [3] Evci, U., et al. (2020). "Rigging the lottery: Making all tickets winners."
       ICML. https://arxiv.org/abs/1911.11134

.. [4] Zhu, M., & Gupta, S. (2017). "To prune, or not to prune: Exploring the efficacy
       of pruning for model compression." https://arxiv.org/abs/1710.01878

.. [5] Gray, S., Radford, A., & Kingma, D. P. (2017). "GPU kernels for block-sparse
       weights." OpenAI. Blocks there are square; here, of 4 units and one input.

.. [6] Elfwing, S., Uchibe, E., & Doya, K. (2018). "Sigmoid-weighted linear units for
       neural network function approximation in reinforcement learning." Neural
       Networks 107, 3-11. https://arxiv.org/abs/1702.03118

.. [7] Hendrycks, D., & Gimpel, K. (2016). "Gaussian error linear units (GELUs)."
       https://arxiv.org/abs/1606.08415""",
}


def with_shared_sections(cls):
    """Fill the shared text into a class's docstring, where it says ``%(name)s``."""
    if cls.__doc__:
        cls.__doc__ = inspect.cleandoc(cls.__doc__) % SHARED + "\n"
    return cls
