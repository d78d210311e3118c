"""ONNX without importing skl2onnx, which not everybody has."""


def register_onnx() -> None:
    """Let skl2onnx convert `SparseMLPClassifier` and `SparseMLPRegressor`.

    `skl2onnx.to_onnx` then takes both, alone or in pipelines and other estimators of
    scikit-learn. A second call changes nothing.

    Raises
    ------
    ImportError
        skl2onnx is not installed; ``pip install skl2onnx`` installs it.

    See Also
    --------
    SparseMLPClassifier.to_sklearn : An estimator of scikit-learn.
    SparseMLPClassifier.to_c : A file in C.

    Notes
    -----
    The options of a classifier are `zipmap`, `nocl` and `output_class_labels`, as those
    of scikit-learn's `MLPClassifier`; opsets are those from 18 on.

    Weights are stored in the estimator's `precision`, as dense matrices, and multiplied
    in float32. Activations are rounded as the estimator rounds them, so predictions are
    equal to 1e-5: for 'float16' and 'bfloat16' by ``Cast``, for 'int8' by
    ``QuantizeLinear`` and ``DequantizeLinear`` [1]_, with a scale for each sample along
    axis 0 and, of the weights, for each unit along axis 1. Where a number lies half-way
    between two that the format has, a difference in the last bit of float32 may round
    it to the other one; predictions then differ by what the format resolves.

    References
    ----------
    .. [1] "ONNX operators." https://onnx.ai/onnx/operators/

    Examples
    --------
    >>> import skl2onnx  # doctest: +SKIP
    >>> from sklearn.datasets import load_digits
    >>> from sparsenet import SparseMLPClassifier, register_onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = SparseMLPClassifier((64,), max_iter=5, random_state=0).fit(X, y)
    >>> register_onnx()  # doctest: +SKIP
    >>> model = skl2onnx.to_onnx(classifier, X[:1])  # doctest: +SKIP
    """
    try:
        from sparsenet._export import to_onnx
    except ImportError as error:
        raise ImportError(
            f"register_onnx: {error}; pip install skl2onnx installs it"
        ) from error
    to_onnx.register()
