"""Parameters that the classifier has for itself; `_parameters.py` has the others."""

from sparsenet._constraints import choice, in_float32, number
from sparsenet._kernels._dispatch import CLASSIFIER_LOSSES
from sparsenet._parameter import Parameter, options

LOSSES = list(dict.fromkeys(choice for choice, _ in CLASSIFIER_LOSSES))

#: In the order of the signature, where they come last.
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
}
