"""Prediction: many rows at once and one row at a time, against dense peers.

784-1024-1024-10, hidden layers of density 0.1, one thread; and one row of a small
network, 20-100-1. scikit-learn's dense network of the same size is also given to
onnxruntime, as it is and with dynamic int8 quantization.

    python benchmarks/prediction.py
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import roofline
from common import (
    PRECISIONS,
    describe_machine,
    format_layers,
    interleave,
    limit_threads,
    optional_import,
    print_table,
    synthetic_images,
)
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier


def onnxruntime_peers(model, X, n_threads):
    """Prediction functions of `model` in onnxruntime, float32 and dynamic int8."""
    onnxruntime = optional_import("onnxruntime")
    skl2onnx = optional_import("skl2onnx")
    quantization = optional_import("onnxruntime.quantization")
    if not (onnxruntime and skl2onnx and quantization):
        return {}

    onnx_model = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    peers = {}
    with tempfile.TemporaryDirectory() as directory:
        float32 = Path(directory) / "float32.onnx"
        int8 = Path(directory) / "int8.onnx"
        float32.write_bytes(onnx_model.SerializeToString())
        quantization.quantize_dynamic(
            float32, int8, weight_type=quantization.QuantType.QInt8
        )
        for name, path in (("float32", float32), ("dynamic int8", int8)):
            session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            (model_input,) = session.get_inputs()
            peers[f"onnxruntime {name}"] = (
                lambda rows, session=session, key=model_input.name: session.run(
                    ["probabilities"], {key: rows}
                )[0]
            )
    return peers


def compare(title, predictors, X, args, n_calls, scale):
    """Time each predictor on X, `n_calls` times a round; `scale` is units a second."""

    def repeat(predict):
        for _ in range(n_calls):
            predict(X)

    jobs = {name: partial(repeat, predict) for name, (predict, _) in predictors.items()}
    timings = interleave(jobs, n_calls, args.rounds)
    peers = [name for name in predictors if not name.startswith("sparsenet")]
    rows = []
    for name, timing in timings.items():
        work = roofline.prediction_work(predictors[name][1], X)
        shares = roofline.limits().shares(work, timing.median, args.threads)
        times = (f"{timing.times_faster_than(timings[peer]):.2f}" for peer in peers)
        rows.append((name, *timing.format(scale), *shares, *times))
    print(title)
    versus = (f"vs {peer}" for peer in peers)
    print_table(("", "median", "range", *roofline.HEADER, *versus), rows)
    print()


def prediction_functions(X, y, hidden, args):
    """What predicts probabilities: estimators, their predictors, and the peers.

    Each comes with the estimator whose weights it has.
    """
    # An epoch over a few rows makes networks; how good they are costs no time.
    parameters = {"hidden_layer_sizes": hidden, "max_iter": 1, "random_state": 0}
    X, y = X[:512], y[:512]
    dense = MLPClassifier(**parameters).fit(X, y)
    functions = {}
    for precision in PRECISIONS:
        model = SparseMLPClassifier(
            **parameters,
            density=args.density,
            block_size=args.block_size,
            sparse_training="static",
            precision=precision,
            n_threads=args.threads,
        ).fit(X, y)
        predictor = model.predictor(n_threads=args.threads)
        name = f"sparsenet {precision}"
        functions[name] = model.predict_proba, model
        functions[f"{name}, predictor"] = predictor.predict_proba, model
    functions["scikit-learn"] = dense.predict_proba, dense
    for name, predict in onnxruntime_peers(dense, X, args.threads).items():
        functions[name] = predict, dense
    return functions


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_240)
    parser.add_argument("--density", type=float, default=0.1, help="hidden layers")
    parser.add_argument("--block-size", type=int, default=1, choices=(1, 4))
    parser.add_argument("--hidden", type=int, nargs="+", default=[1024, 1024])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--calls", type=int, default=200, help="one-row calls a round")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    describe_machine(args.threads, packages=("onnxruntime", "skl2onnx"))

    X, y = synthetic_images(args.rows)
    functions = prediction_functions(X, y, args.hidden, args)
    few, two = synthetic_images(512, n_features=20, n_classes=2)
    small = prediction_functions(few, two, [100], args)
    limit_threads(args.threads)

    layers = format_layers(X.shape[1], args.hidden)
    print(
        f"{layers}, density {args.density}, block_size {args.block_size}, "
        "probabilities of float32 rows; vs: times faster\n"
    )
    compare(f"{args.rows} rows, ms", functions, X, args, 1, 1e3)
    compare("1 row, microseconds", functions, X[:1], args, args.calls, 1e6)
    title = "1 row of 20-100-1, microseconds"
    compare(title, small, few[:1], args, args.calls, 1e6)


if __name__ == "__main__":
    main()
