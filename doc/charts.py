"""Charts of what was measured, and of functions."""

import json
from pathlib import Path

import numpy as np
from drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    Picture,
)

from sparsenet._schedules import SCHEDULES

#: benchmarks/learning_rate.py, digits: the loss at each rate, by density of the hidden
#: layer, before and after the rule (doc/measurements.md).
RATES = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
LOSSES = {
    "the same rate for all weights": {
        1.0: (0.6645, 0.2766, 0.1103, 0.0396, 0.0105, 0.0022, 0.0034),
        0.3: (1.2031, 0.6360, 0.2686, 0.1051, 0.0362, 0.0090, 0.0017),
        0.1: (1.4804, 0.8827, 0.4017, 0.1700, 0.0685, 0.0227, 0.0056),
    },
    "young weights of sparse layers learn faster": {
        1.0: (0.6645, 0.2766, 0.1103, 0.0396, 0.0105, 0.0022, 0.0034),
        0.3: (0.7040, 0.3080, 0.1228, 0.0434, 0.0116, 0.0023, 0.0041),
        0.1: (0.7540, 0.3388, 0.1424, 0.0545, 0.0159, 0.0036, 0.0032),
    },
}


def learning_rates():
    """Loss against learning rate, one line a density."""
    p = Picture(300)
    for i, (title, by_density) in enumerate(LOSSES.items()):
        axes = p.figure.add_axes((0.09 + 0.49 * i, 0.17, 0.41, 0.7))
        for (density, losses), color in zip(
            by_density.items(), (BLUE, ORANGE, GREEN), strict=True
        ):
            axes.loglog(RATES, losses, ".-", color=color, label=f"density {density:g}")
        axes.set(ylim=(0.001, 2), xlabel="learning_rate_init", title=title)
        axes.set_xticks(RATES[1::2], [f"{rate:g}" for rate in RATES[1::2]])
        axes.minorticks_off()
        axes.title.set_fontsize(10)
        if i == 0:
            axes.set_ylabel("training loss after 10 epochs")
            axes.legend(frameon=False, fontsize=9)
    return p


#: Fashion-MNIST, 784-1024-1024-10: connections, seconds of fit and test accuracy in %,
#: by the density of the hidden layers (benchmarks/sparse_training.py).
FASHION = {
    'learned, sparse_training="gradual"': (
        (195_584, 61, 90.09),
        (102_400, 49, 89.82),
        (47_104, 43, 89.71),
    ),
    'learned, "set", the default': (
        (195_584, 22, 89.99),
        (102_400, 12, 89.58),
        (47_104, 7, 89.05),
    ),
    'drawn at random, "static"': (
        (195_584, 23, 89.35),
        (102_400, 13, 88.70),
        (47_104, 7, 88.33),
    ),
    "dense and narrow": ((196_416, 10, 88.84), (102_491, 5, 88.43), (47_600, 3, 87.99)),
    "dense, same width": ((1_861_632, 142, 89.03),),
}


def sparsity():
    """Accuracy against connections, and against time."""
    p = Picture(330)
    colors = GREEN, BLUE, ORANGE, GREY, BLACK
    labels = "connections", "seconds of training, one thread"
    for column, label in enumerate(labels):
        axes = p.figure.add_axes((0.09 + 0.48 * column, 0.15, 0.42, 0.7))
        for (name, points), color in zip(FASHION.items(), colors, strict=True):
            x, y = ([point[i] for point in points] for i in (column, 2))
            axes.semilogx(x, y, "o-", color=color, label=name, markersize=5)
        axes.set(ylim=(87.8, 90.3), xlabel=label)
        if column == 0:
            axes.set_ylabel("test accuracy, %")
            ticks = {50_000: "50,000", 200_000: "200,000", 1_861_632: "1,900,000"}
            p.figure.legend(
                loc="upper center", ncols=3, frameon=False, fontsize=8, borderpad=0
            )
        else:
            axes.set_yticklabels([])
            ticks = {seconds: str(seconds) for seconds in (3, 10, 30, 140)}
        axes.set_xticks(list(ticks), ticks.values())
        axes.minorticks_off()
        axes.grid(color=LIGHT_GREY)
    return p


def schedules():
    """The factor of the learning rate over training."""
    p = Picture(240)
    t = np.linspace(0, 1, 401)
    for i, (name, factor) in enumerate(SCHEDULES.items()):
        axes = p.figure.add_axes((0.08 + 0.235 * i, 0.2, 0.2, 0.64))
        axes.plot(t, [factor(value) for value in t], color=BLUE)
        axes.set_title(f'"{name}"', fontsize=10)
        axes.set(xlim=(0, 1), ylim=(0, 1.05), xlabel="share of training")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        if i == 0:
            axes.set_ylabel("factor of learning_rate_init")
        else:
            axes.set_yticks([])
    return p


def losses():
    """The losses of a regressor against the error."""
    p = Picture(280)
    error = np.linspace(-3, 3, 601)
    size = abs(error)
    curves = {
        '"squared_error"': error**2 / 2,
        '"absolute_error"': size,
        '"huber", huber_delta=1': np.where(size < 1, error**2 / 2, size - 0.5),
        '"quantile", quantile=0.9': np.where(error < 0, -0.9 * error, 0.1 * error),
    }
    axes = p.figure.add_axes((0.09, 0.17, 0.55, 0.76))
    for (name, loss), color in zip(
        curves.items(), (BLACK, BLUE, GREEN, ORANGE), strict=True
    ):
        axes.plot(error, loss, color=color, label=name)
    axes.set(xlim=(-3, 3), ylim=(0, 3), xlabel="prediction minus target", ylabel="loss")
    p.figure.legend(loc="center right", frameon=False, fontsize=9)
    return p


#: The curves of accuracy_over_time.json: label, colour and style.
CURVES = {
    "images": {
        "sparsenet, int8": ("sparsenet, int8", BLUE, "o-"),
        "sparsenet, bfloat16": ("sparsenet, bfloat16", BLUE, "s--"),
        "sparsenet": ("sparsenet, float32", BLUE, "^:"),
        "torch": ("torch, dense", ORANGE, "o-"),
        "scikit-learn": ("scikit-learn's MLP, dense", BLACK, "o-"),
    },
    "text": {
        "sparsenet, density 1": ("sparsenet, density 1", BLUE, "o-"),
        "sparsenet": ("sparsenet, its default density", BLUE, "s--"),
        "SGDClassifier": ("SGDClassifier", GREEN, "D"),
        "LinearSVC": ("LinearSVC", GREEN, "s"),
        "scikit-learn": ("scikit-learn's MLP", BLACK, "o-"),
    },
}
TITLES = {
    "images": "Fashion-MNIST, 784-1024-1024-10",
    "text": "20 Newsgroups, TF-IDF, 100 hidden units",
}
#: Where the axes of accuracy begin, with room for the legend.
BOTTOMS = {"images": 81.5, "text": 84}


def accuracy_over_time():
    """Test accuracy against seconds of training, on images and on text."""
    p = Picture(330)
    path = Path(__file__).with_name("accuracy_over_time.json")
    measured = json.loads(path.read_text(encoding="utf-8"))
    for column, (task, curves) in enumerate(CURVES.items()):
        axes = p.figure.add_axes((0.08 + 0.49 * column, 0.16, 0.42, 0.74))
        for name, (label, color, style) in curves.items():
            _, seconds, percent = zip(*measured[task][name], strict=True)
            axes.semilogx(
                seconds, percent, style, color=color, label=label, markersize=5
            )
        axes.set_title(TITLES[task], fontsize=10)
        axes.set_ylim(bottom=BOTTOMS[task])
        axes.set_xlabel("seconds of training, one CPU thread")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(color=LIGHT_GREY)
        axes.legend(loc="lower right", frameon=False, fontsize=8)
        if column == 0:
            axes.set_ylabel("test accuracy, %")
    return p


#: How the models of doc/tables.json are shown: label, colour, and where the label is.
MODELS = {
    "sparsenet": ("sparsenet", BLUE, (7, -4)),
    "sparsenet_8": ("sparsenet, 8 networks", BLUE, (7, -4)),
    "lightgbm": ("LightGBM", ORANGE, (7, -4)),
    "hist_gradient_boosting": ("HistGradientBoosting", ORANGE, (7, -4)),
    "xgboost": ("XGBoost", ORANGE, (-8, 7)),
    "catboost": ("CatBoost", ORANGE, (7, -4)),
    "sklearn_mlp": ("scikit-learn's MLP", GREEN, (7, -4)),
    "sklearn_mlp_encoded": ("MLP, our encoder", GREEN, (7, -4)),
    "realmlp": ("RealMLP-TD-S", GREEN, (7, -4)),
}


def tables():
    """Error against seconds of fit over public tables, and mean ranks."""
    p = Picture(330)
    path = Path(__file__).with_name("tables.json")
    summaries = json.loads(path.read_text(encoding="utf-8"))
    measured = max(summaries, key=lambda summary: len(summary["models"]))
    models = measured["models"]
    axes = p.figure.add_axes((0.1, 0.16, 0.46, 0.74))
    for name, (label, color, offset) in MODELS.items():
        if name in models:
            at = models[name]["seconds"], models[name]["error_ratio"]
            axes.semilogx(*at, "o", color=color, markersize=6)
            axes.annotate(
                label, at, offset, textcoords="offset points", fontsize=8, color=color
            )
    axes.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_xlim(right=axes.get_xlim()[1] * 6)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("processor seconds of fit")
    axes.set_ylabel("error over that of boosted trees")
    axes.set_title(f"{measured['n_tables']} tables, defaults", fontsize=10)
    axes.grid(color=LIGHT_GREY)
    _mean_ranks(p, measured)
    return p


def _mean_ranks(p, measured):
    """Demšar's diagram: mean ranks, best at the top, and the critical difference."""
    axes = p.figure.add_axes((0.63, 0.16, 0.35, 0.74))
    models = measured["models"]
    order = sorted((m for m in models if m in MODELS), key=lambda m: models[m]["rank"])
    for place, name in enumerate(order):
        label, color, _ = MODELS[name]
        rank = models[name]["rank"]
        axes.plot(rank, place, "o", color=color, markersize=6)
        axes.annotate(
            f"{label}, {rank:.1f}",
            (rank, place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=color,
        )
    best = models[order[0]]["rank"]
    difference = measured["critical_difference"]
    axes.axvspan(best, best + difference, color=LIGHT_GREY, zorder=0)
    axes.set(ylim=(len(order) - 0.5, -1.0), xlim=(0.5, len(order) + 1), yticks=[])
    axes.set_xlabel("mean rank; grey: not different at 5 %")
    axes.set_title("ranks", fontsize=10)


#: The panels of local_steps.json: its task, title, measure and axis.
LOCAL_STEPS = (
    ("fashion", "Fashion-MNIST", "accuracy", "test accuracy, %"),
    ("flights", "flights", "log_loss", "test log loss, lower is better"),
)


def local_steps():
    """Accuracy against the number of workers, by steps between outer steps."""
    p = Picture(330)
    path = Path(__file__).with_name("local_steps.json")
    tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
    missing = [task for task, *_ in LOCAL_STEPS if not tasks.get(task)]
    if missing:
        raise ValueError(f"{path} has nothing of {', '.join(missing)}")
    for column, (task, title, measure, label) in enumerate(LOCAL_STEPS):
        axes = p.figure.add_axes((0.09 + 0.5 * column, 0.15, 0.4, 0.67))
        _by_workers(axes, tasks[task], measure)
        axes.set_title(title, fontsize=10)
        axes.set(xlabel="workers", ylabel=label)
        if column == 0:
            p.figure.legend(loc="upper center", ncols=5, frameon=False, fontsize=8)
    return p


def _by_workers(axes, points, measure):
    """A line for each interval, all from the single process, which has its own."""
    means = {(x["workers"], x["interval"]): np.mean(x[measure]) for x in points}
    alone = means.pop((1, None))
    axes.axhline(alone, color=GREY, linestyle="--", label="single process")
    intervals = sorted({interval for _, interval in means})
    colors = (BLACK, BLUE, GREEN, ORANGE)[: len(intervals)]
    for interval, color, marker in zip(
        intervals, colors, "osD^"[: len(intervals)], strict=True
    ):
        line = {1: alone} | {w: y for (w, i), y in means.items() if i == interval}
        label = "every step" if interval == 1 else f"every {interval} steps"
        axes.semilogx(
            line.keys(), line.values(), f"{marker}-", color=color, label=label, ms=5
        )
    workers = sorted({1} | {n for n, _ in means})
    axes.set_xticks(workers, map(str, workers))
    axes.minorticks_off()
    axes.grid(color=LIGHT_GREY)
