"""Parameters of the estimators of tables: those of a network, and their own.

The defaults were chosen by error and time on the half of the tables of
``benchmarks/public_tables.py`` that is for that; ``doc/guide/tables.md`` has what each
of them brings.
"""

from functools import cache

from sklearn.base import ClassifierMixin

from sparsenet._constraints import Constraint, choice, either, integer, none, number
from sparsenet._parameters import SHARED, classifier
from sparsenet._parameters.parameter import Parameter

is_encoder = Constraint(
    lambda value: hasattr(value, "fit_transform") and hasattr(value, "transform"),
    "an object with fit_transform and transform",
)

NETWORK = {
    "hidden_layer_sizes": (192, 192, 192),
    "activation": "gelu",
    "density": 0.1,
    "precision": "bfloat16",
    "learning_rate_init": 0.006,
    "weight_decay": 0.3,
    "dropout": 0.05,
}

OWN = {
    "n_members": Parameter(
        2,
        integer(1),
        "int",
        """
    Number of networks, >= 1, whose predictions are averaged. They differ in their
    connections, initial weights and the order of samples.
    """,
    ),
    "encoder": Parameter(
        None,
        either(none, is_encoder),
        "transformer or None",
        """
    Turns X into a matrix of finite numbers, dense or sparse, instead of a
    `TableEncoder`; a copy of it is fitted. Such as a `TableEncoder` with parameters of
    its own, skrub's ``TableVectorizer()``, or a
    `sklearn.compose.ColumnTransformer`. What only drops or adds columns belongs in
    front of the estimator, in a `sklearn.pipeline.Pipeline`.
    """,
    ),
    "max_iter": Parameter(
        "auto",
        either(choice("auto"), integer(1)),
        "int or 'auto'",
        """
    Number of epochs of each network, >= 1. 'auto': as many as visit 125,000 samples,
    times the square root of half the number of classes and, with fewer than 6,000
    samples, that of a 6,000th of their number; but at least 8 and at most 200.
    """,
    ),
    "batch_size": Parameter(
        "auto",
        either(choice("auto"), integer(1)),
        "int or 'auto'",
        """
    Size of the mini-batches, >= 1. 'auto': the power of two next to a fiftieth of the
    samples, but at least 32 and at most 256.
    """,
    ),
    "time_limit": Parameter(
        None,
        either(none, number(0, bounds="(]")),
        "float or None",
        """
    Seconds that `fit` may train, > 0. The networks share them: each ends after the last
    epoch that it expects to have time for, but not before its first one, with the
    learning rate that belongs to the end of training. Encoding takes some time before.
    What is learned then depends on the machine. None: there is no limit.
    """,
    ),
    "verbose": SHARED["verbose"],
    "random_state": SHARED["random_state"]._replace(
        text="""
    Draws the connections, the initial weights and the order of samples. An int makes
    `fit` reproducible, with any number of threads.
    """
    ),
    "n_threads": SHARED["n_threads"],
}

OF_CLASSIFIERS = {
    "label_smoothing": classifier.PARAMETERS["label_smoothing"]._replace(
        default=0.02,
        text="""
    Share of a sample's class that is spread evenly over all classes, in [0, 1). More of
    it makes probabilities of rare classes too large.
    """,
    ),
    "class_weight": classifier.PARAMETERS["class_weight"]._replace(
        text="""
    Factors of the weights of samples in training, by class.

    - None: all are 1.
    - 'balanced': ``n_samples / (n_classes * n_samples_of_the_class)``.
    - a dict: the factor of each label, >= 0; 1 for those that it lacks.
    - a list of dicts, for a multi-label y: one for each label, of 0 (not given) and 1.
      The factor of a sample is the product over the labels.
    """
    ),
}

#: What is said otherwise of parameters of networks here, where all are of one kind.
TEXTS = {
    "learning_rate_init": """
    The learning rate in the first half of training, > 0. In the second half it falls to
    0.
    """,
    "weight_decay": """
    Share of each weight, times the learning rate, that a step takes away, >= 0.
    """,
    "precision": """
    Number format of weights, activations and deltas in the forward and backward pass.
    The optimizer works in float32 in any case.
    """,
}


@cache
def parameters_of(cls):
    """The parameters of an estimator's class, by name."""
    network = {
        name: SHARED[name]._replace(
            default=default, text=TEXTS.get(name, SHARED[name].text)
        )
        for name, default in NETWORK.items()
    }
    own = OF_CLASSIFIERS if issubclass(cls, ClassifierMixin) else {}
    return network | OWN | own | getattr(cls, "_further_parameters", {})
