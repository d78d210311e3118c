"""What the docstrings of the two estimators share, written once."""

import inspect
from typing import TypeVar

from sparsenet._parameters import documentation

Class = TypeVar("Class", bound=type)

SHARED = {
    "attributes": """\
loss_ : float
    Mean training loss of the last epoch; nan if Ctrl-C left none complete.

best_loss_ : float or None
    Smallest training loss of an epoch; None with early stopping. Epochs in which
    ``sparse_training='gradual'`` still prunes do not count.

loss_curve_ : list of float
    Training loss of each epoch.

validation_scores_ : list of float or None
    Score of the validation samples after each epoch, by `scoring`, nan where Ctrl-C
    came before it; None without validation samples.

best_validation_score_ : float or None
    Largest of `validation_scores_`, likewise; after a warm start that keeps the best
    model, of those of its call and of the model before. None without validation
    samples.

validation_loss_curve_ : list of float or None
    Mean loss of the validation samples after each epoch, without the L2 term, but of
    smoothed labels where training has those, and of several quantiles before they are
    sorted; None without validation samples.

train_scores_ : list of float or None
    Score of the training samples after each epoch, by `scoring`; None without
    `train_scores`.

t_ : int
    Number of training samples seen, each counted in every epoch.

coefs_ : list of scipy.sparse.csc_array, or of ndarray
    Weight matrix of each layer, of shape (n_in, n_out), float32; ndarrays of X's dtype
    if all layers are dense. Made when asked for.

intercepts_ : list of ndarray
    Biases of each layer, of shape (n_out,), float32. Made when asked for.

topology_ : Topology
    Connections of each layer (`layers`: `n_connections`, `density`, and `fan_in` and
    `fan_out` of each unit) and of each round of rewiring (`rounds`); ``print`` shows a
    table. Made when asked for.

feature_importances_ : ndarray of shape (n_features,)
    Share of each feature in the magnitudes of the first layer's weights. Comparable
    only if all features vary as much: after `sklearn.preprocessing.StandardScaler`, but
    not between numbers and one-hot columns, for which
    `sklearn.inspection.permutation_importance` is right. With it,
    `sklearn.feature_selection.SelectFromModel` chooses features. Made when asked for.

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
stores its first layer feature by feature. The time of a training step then depends on
the non-zeros of its batch, not on the number of features; the result is that of
updating all features in each step. Each feature has the same number of connections,
about `density` times the number of units and at least one. CSR is taken as it is where
its rows are sorted and free of duplicates, and copied once where not. Dense X is made
sparse for such a network, and sparse X dense, 64 rows at a time, for one first fitted
on dense X.

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
       https://arxiv.org/abs/1606.08415

.. [8] Clevert, D.-A., Unterthiner, T., & Hochreiter, S. (2016). "Fast and accurate
       deep network learning by exponential linear units (ELUs)." ICLR.
       https://arxiv.org/abs/1511.07289

.. [9] Klambauer, G., Unterthiner, T., Mayr, A., & Hochreiter, S. (2017).
       "Self-normalizing neural networks." NeurIPS. https://arxiv.org/abs/1706.02515

.. [10] Misra, D. (2019). "Mish: A self regularized non-monotonic activation function."
        https://arxiv.org/abs/1908.08681

.. [11] Dey, N., Bergsma, S., & Hestness, J. (2024). "Sparse maximal update
        parameterization: A holistic approach to sparse training dynamics." NeurIPS.
        https://arxiv.org/abs/2405.15743

.. [12] Zhu, C., Byrd, R. H., Lu, P., & Nocedal, J. (1997). "Algorithm 778: L-BFGS-B."
        ACM Transactions on Mathematical Software 23.
        https://doi.org/10.1145/279232.279236

.. [13] Loshchilov, I., & Hutter, F. (2017). "SGDR: Stochastic gradient descent with
        warm restarts." ICLR. https://arxiv.org/abs/1608.03983

.. [14] Holzmüller, D., Grinsztajn, L., & Steinwart, I. (2024). "Better by default:
        Strong pre-tuned MLPs and boosted trees on tabular data." NeurIPS.
        https://arxiv.org/abs/2407.04491

.. [15] Smith, L. N., & Topin, N. (2018). "Super-convergence: Very fast training of
        neural networks using large learning rates." https://arxiv.org/abs/1708.07120

.. [16] Loshchilov, I., & Hutter, F. (2019). "Decoupled weight decay regularization."
        ICLR. https://arxiv.org/abs/1711.05101

.. [17] Pascanu, R., Mikolov, T., & Bengio, Y. (2013). "On the difficulty of training
        recurrent neural networks." ICML. https://arxiv.org/abs/1211.5063

.. [18] Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I., & Salakhutdinov, R.
        (2014). "Dropout: A simple way to prevent neural networks from overfitting."
        Journal of Machine Learning Research 15, 1929-1958.
        https://jmlr.org/papers/v15/srivastava14a.html""",
}


def with_shared_sections(cls: Class) -> Class:
    """Fill the shared text into a class's docstring, where it says ``%(name)s``.

    ``%(parameters)s`` are those of the class's own signature.
    """
    if cls.__doc__:
        parameters = documentation(cls, inspect.signature(cls).parameters)
        sections = SHARED | {"parameters": parameters}
        cls.__doc__ = inspect.cleandoc(cls.__doc__) % sections + "\n"
    return cls
