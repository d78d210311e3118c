"""The methods of estimators that make something else of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sklearn.utils.validation import check_is_fitted

from sparsenet._export.to_c import to_c
from sparsenet._export.to_sklearn import to_sklearn

if TYPE_CHECKING:
    from os import PathLike

    from sparsenet._untyped import MLPClassifier, MLPRegressor


class ExportMixin:
    """Of estimators that keep their network as ``_network``."""

    def to_sklearn(self) -> MLPClassifier | MLPRegressor:
        """Return scikit-learn's estimator with this one's weights.

        Connections that do not exist are weights of 0: its matrices are dense.

        Returns
        -------
        mlp : MLPClassifier or MLPRegressor
            A fitted estimator of scikit-learn, with the parameters that it knows and
            the history of this one's training. Its optimizer starts anew.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        ValueError
            scikit-learn has no such network: an activation that it lacks, or different
            ones; several quantiles; a single class.

        See Also
        --------
        from_sklearn : The other way.

        Notes
        -----
        It predicts what this estimator does, with weights as they were rounded to
        `precision`, but rounds no activations: in 'bfloat16', 'float16' and 'int8'
        predictions differ by that. Its loss is one with the same outputs:
        'squared_error', or 'poisson' for 'gamma', too.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sparsenet import SparseMLPClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> classifier = SparseMLPClassifier((64,), random_state=0).fit(X, y)
        >>> mlp = classifier.to_sklearn()
        >>> mlp
        MLPClassifier(hidden_layer_sizes=(64,), random_state=0)
        >>> bool((mlp.predict(X) == classifier.predict(X)).all())
        True
        """
        check_is_fitted(self)
        return to_sklearn(self._aside())  # a fit in another thread may end meanwhile

    def to_c(
        self, name: str = "network", *, path: str | PathLike[str] | None = None
    ) -> str:
        """Return one C99 file that predicts a sample.

        It needs no memory but the stack, and of libraries at most ``fmaf``.

        Parameters
        ----------
        name : str, default='network'
            What the names in the file start with.

        path : str or path-like, default=None
            Where the file is written, too.

        Returns
        -------
        source : str
            The file. ``void NAME_predict(const float *x, float *out)`` writes what
            `predict_proba`, or of a regressor `predict`, returns for the features x.
            ``int NAME_class(const float *x)``, of classifiers but for multi-label ones,
            returns the index in `classes_` of the most probable class.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        ValueError
            `name` is no name in C.

        Notes
        -----
        With ``precision='int8'`` weights take a byte, plus one for the distance to the
        next one in layers of a density below a half, and the sums are integers. What
        the file computes is what the network does, to the bit if sparsenet was compiled
        by GCC for a processor that multiplies and adds in one instruction: labels are
        equal, and so are numbers. Probabilities agree to 1e-6, since `predict_proba`
        scales each row once more, so that it sums to 1. Exponentials are part of the
        file.

        In other formats weights are float32, and activations are not rounded: 'float32'
        agrees to some 1e-6, 'bfloat16' and 'float16' to what they resolve.

        Numbers below 1e-38, which this package takes for 0, are used as they are, and
        no probability is raised from 0, as by `predict_proba`.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sparsenet import SparseMLPClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> classifier = SparseMLPClassifier((32,), precision="int8", max_iter=5)
        >>> source = classifier.fit(X, y).to_c("digits")
        >>> "int digits_class(const float *x)" in source
        True
        """
        check_is_fitted(self)
        source = to_c(self._aside(), name)
        if path is not None:
            Path(path).write_text(source, encoding="ascii")
        return source
