"""From what a network puts out to what is predicted, by estimators and predictors."""

from functools import partial

import numpy as np
from sklearn.utils import gen_batches

from sparsenet._formats import LARGEST
from sparsenet._kernels.train.input import is_finite
from sparsenet._kernels.train.probabilities import probabilities
from sparsenet._training_set import CHUNK

# So many values of the output layer are kept while classes are predicted: 64 MB.
OUTPUTS_AT_ONCE = 2**24
# A comparison with Python's 0 takes twice as long, half a microsecond.
ZERO = np.zeros((), np.float32)


class Outputs:
    """Of an object that keeps its network as ``_network``.

    It checks X by ``_check_rows(X)`` and says how many threads a call may use by
    ``_call_threads()``.
    """

    __slots__ = ()
    _decides_by_logits = False

    def _output(self, X, logits=False):
        """Return outputs for X, or logits, of shape (n_samples, n_outputs)."""
        X = self._check_rows(X)
        return self._network_output(X, logits).astype(X.dtype, copy=False)

    def _decisions(self, X):
        """Return what is predicted for X, without keeping the output of all rows."""
        X = self._check_rows(X)
        n_outputs = self._network.layer_sizes[-1]
        at_once = max(CHUNK, OUTPUTS_AT_ONCE // n_outputs)
        if X.shape[0] <= at_once:
            return self._decide(self._network_output(X, self._decides_by_logits))
        output = partial(self._network_output, logits=self._decides_by_logits)
        chunks = gen_batches(X.shape[0], at_once)
        return np.concatenate([self._decide(output(X[rows])) for rows in chunks])

    def _network_output(self, X, logits):
        return self._finite(self._network.predict(X, self._call_threads(), logits))

    def _finite(self, output):
        """Return what the network puts out, if all of it is numbers."""
        if not is_finite(output):
            limit = LARGEST[self._network.precision]
            raise ValueError(
                f"{type(self).__name__}: X has values too large for this network, "
                f"whose precision={self._network.precision!r} holds numbers up to "
                f"{limit:.6g}; its output is not finite. Scale the features, as for "
                "training"
            )
        return output


class ClassifierOutputs(Outputs):
    """Of classifiers, with scikit-learn's attributes about classes and outputs."""

    __slots__ = ()
    _decides_by_logits = True

    def _decide(self, output):
        if self.out_activation_ == "softmax":
            return output.argmax(axis=1)
        return output > ZERO

    def _is_multilabel(self):
        return self.out_activation_ == "logistic" and self.n_outputs_ > 1

    def _labels(self, X):
        decided = self._decisions(X)
        if self.out_activation_ == "softmax":
            return self.classes_[decided]
        positive = decided.astype(np.int64)
        return positive if self.n_outputs_ > 1 else self.classes_[positive[:, 0]]

    def _logits(self, X):
        logits = self._output(X, logits=True)
        is_binary = self.out_activation_ == "logistic" and logits.shape[1] == 1
        return logits[:, 0] if is_binary else logits

    def _probabilities(self, X):
        X = self._check_rows(X)
        output = self._network_output(X, logits=False)
        return probabilities(output, X.dtype, self.out_activation_ == "softmax")


class RegressorOutputs(Outputs):
    """Of regressors."""

    __slots__ = ()

    def _levels(self):
        """The levels of the quantiles, if the network has an output for each."""
        network = self._network
        if network.loss != "quantile" or not isinstance(network.loss_parameter, tuple):
            return None
        return network.loss_parameter

    def _decide(self, output):
        # Sorting makes no quantile worse (Chernozhukov, Fernandez-Val & Galichon 2010).
        return output if self._levels() is None else np.sort(output, axis=1)

    def _numbers(self, X):
        output = self._decide(self._output(X))
        is_matrix = output.shape[1] > 1 or self._levels() is not None
        return output if is_matrix else output[:, 0]
