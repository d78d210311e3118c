"""Parameters that the classifier has for itself."""

from numbers import Real

from sparsenet._constraints import (
    Constraint,
    choice,
    each,
    either,
    in_float32,
    is_number,
    none,
    number,
)
from sparsenet._kernels._dispatch import CLASSIFIER_LOSSES
from sparsenet._parameters.parameter import Parameter, options

LOSSES = list(dict.fromkeys(choice for choice, _ in CLASSIFIER_LOSSES))

#: What is a number in the kernels; bool is none.
weights_of_labels = Constraint(
    lambda value: (
        isinstance(value, dict)
        and all(is_number(weight, Real) and weight >= 0 for weight in value.values())
    ),
    "a dict of label to number >= 0",
)

PARAMETERS = {
    "loss": Parameter(
        "log_loss",
        choice(*LOSSES),
        options(LOSSES),
        """
    What is minimized; in multi-label classification, the sum over the labels.

    - 'log_loss': ``-log(p)``, where p is the probability of a sample's class.
    - 'focal': ``-(1 - p) ** focal_gamma * log(p)``: what is classified well already
      counts less, so that rare and difficult samples count more. Probabilities are
      then not those that are observed (Lin, T.-Y., et al. (2017). "Focal loss for
      dense object detection." https://arxiv.org/abs/1708.02002).
    """,
    ),
    "label_smoothing": Parameter(
        0.0,
        in_float32(number(0, 1, bounds="[)")),
        "float",
        """
    Share of a sample's class that is spread evenly over all classes, in [0, 1)
    (Szegedy, C., et al. (2016). "Rethinking the Inception architecture for computer
    vision." https://arxiv.org/abs/1512.00567). Each label of a multi-label y has two
    classes: given or not. Used only with ``loss='log_loss'``; with 'focal' it has to
    be 0.
    """,
    ),
    "focal_gamma": Parameter(
        2.0,
        in_float32(number(0)),
        "float",
        """
    How much less samples count that are classified well, >= 0; with 0, 'focal' is the
    log-loss. Used only with ``loss='focal'``.
    """,
    ),
    "class_weight": Parameter(
        None,
        either(
            none,
            choice("balanced"),
            weights_of_labels,
            each(weights_of_labels, "a sequence of such for a multi-label y"),
        ),
        "dict, list of dict, 'balanced' or None",
        """
    Factors of the weights of samples in training, by class.

    - None: all are 1.
    - 'balanced': ``n_samples / (n_classes * n_samples_of_the_class)``. Not available
      in `partial_fit`.
    - a dict: the factor of each label, >= 0; 1 for those that it lacks.
    - a list of dicts, for a multi-label y: one for each label, of 0 (not given) and 1.
      The factor of a sample is the product over the labels.

    Samples of a class with the factor 0 count as absent, in validation samples that are
    set aside, too. Otherwise scores, and with them early stopping, do not depend on the
    factors.
    """,
    ),
}
