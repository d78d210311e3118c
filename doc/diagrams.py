"""Diagrams of how it works: panels, regions, layouts, number formats."""

import random

from drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT_BLUE,
    LIGHT_GREEN,
    LIGHT_GREY,
    LIGHT_ORANGE,
    MINUS,
    ORANGE,
    TIMES,
    Picture,
)


def panel():
    """Samples become lanes; a weight meets all of them at once."""
    p = Picture(522)
    size, n_samples, n_features, lanes = 20, 6, 8, 12
    chosen = {1: "0.7", 4: f"{MINUS}0.2", 6: "0.4"}  # the non-zeros of a row of W

    p.title(20, 22, "1   64 samples become a panel")
    left, top = 60, 78
    p.text(left, 58, "mini-batch: a row is a sample")
    for sample in range(n_samples):
        fill = LIGHT_ORANGE if sample == 1 else "white"
        p.cells(left, top + sample * size, n_features, size, fill)
        name = ["0", "1", "2", "3", "…", "63"][sample]
        p.text(left - 8, top + (sample + 0.5) * size, name, align="right")
    p.text(left, top + n_samples * size + 16, "features →", color=BLACK)
    p.text(left - 8, top - 8, "sample", align="right", size=11)

    p.arrow((left + n_features * size + 22, 150), (330, 150))
    p.text(285, 116, "gather,\nconvert,\ntranspose", align="center", size=11.5)

    left = 405
    p.text(left, 58, "panel: a row is a feature, a lane is a sample")
    for feature in range(n_features):
        y = top + feature * size
        for lane in range(lanes):
            fill = LIGHT_BLUE if feature in chosen else "white"
            if lane == 1:
                fill = LIGHT_ORANGE
            p.box(left + lane * size, y, size, size, fill, line=0.8)
        name = f"X[{feature}]"
        p.text(left - 8, y + size / 2, name, align="right", size=11.5)
    bottom = top + n_features * size
    p.text(left + size / 2, bottom + 12, "0", align="center", size=11.5)
    p.text(left + 1.5 * size, bottom + 12, "1", align="center", size=11.5)
    p.text(left + 5.5 * size, bottom + 12, "…  lanes  …", align="center", size=11.5)
    p.text(left + 11.5 * size, bottom + 12, "63", align="center", size=11.5)

    p.title(20, 302, "2   One sparse row of W against the panel")
    p.text(20, 326, "The row has three non-zeros: three numbers meet three rows of X.")
    y = 346
    for feature, weight in chosen.items():
        p.text(30, y + 10, f"W[o,{feature}] =", size=12)
        p.box(102, y - 2, 46, 24, LIGHT_GREEN, GREEN, weight)
        p.arrow((154, y + 10), (212, y + 10), GREEN)
        if feature == 1:
            p.text(183, y - 2, "broadcast", align="center", size=11)
        p.box(218, y - 2, 130, 24, LIGHT_GREEN, GREEN)
        for i, word in enumerate([weight, weight, "…", weight]):
            p.text(236 + 31.5 * i, y + 10, word, align="center", size=11)
        p.text(369, y + 10, TIMES, align="center", size=15)
        p.cells(left, y, lanes, size, LIGHT_BLUE)
        p.box(left + size, y, size, size, LIGHT_ORANGE, line=0.8)
        p.text(left + lanes * size + 8, y + 10, f"X[{feature}]", size=11.5)
        y += 34
    p.text(369, y - 4, "+", align="center", size=15, bold=True)
    p.line([(left, y - 6), (left + lanes * size, y - 6)])
    p.cells(left, y + 6, lanes, size, LIGHT_GREY)
    p.box(left + size, y + 6, size, size, LIGHT_ORANGE, line=0.8)
    p.text(left + lanes * size + 8, y + 16, "Y[o]", size=11.5)
    p.text(
        20,
        y + 16,
        "64 sums, which stay in registers\nuntil the row is done",
        size=12,
    )
    p.arrow((270, y + 16), (392, y + 16), GREY)
    p.text(
        20,
        500,
        "Then bias, activation and rounding: Y[o] is a row of the next layer's panel. "
        "Orange: one sample's way.",
        size=12,
    )
    return p


def regions():
    """A step: panels shared by threads, a barrier, then rows of weights."""
    p = Picture(500)
    p.title(20, 22, "One training step on two threads (a batch of 256: four panels)")
    start, barrier, end = 88, 386, 646
    p.text((start + barrier) / 2, 56, "Region 1: panels", align="center", bold=True)
    p.text(
        (barrier + end) / 2, 56, "Region 2: rows of weights", align="center", bold=True
    )
    # For each thread, the tasks that it does of some layers.
    tasks = [[("layer 1", 8), ("layer 2", 4)], [("layer 2", 10), ("layer 3", 1)]]
    for thread in range(2):
        y = 76 + 64 * thread
        p.text(20, y + 22, f"thread {thread}")
        width = [138, 140] if thread == 0 else [144, 144]
        x = start
        for i in range(2):
            number = 2 * i + thread
            p.box(x, y, width[i], 44, LIGHT_BLUE, BLUE, f"panel {number}")
            x += width[i] + 4
        x = barrier + 10
        for words, n in tasks[thread]:
            wide = 19 if thread == 0 else 20.5
            for i in range(n):
                p.box(x + i * wide, y, wide - 3, 26, LIGHT_ORANGE, ORANGE)
            p.text(x + n * wide / 2, y + 38, words, align="center", size=11.5)
            x += n * wide + 8
    for x in (barrier, end):
        p.line([(x, 66), (x, 204)], width=3)
        p.text(x, 218, "barrier", align="center", bold=True)
    p.arrow((start, 222), (start + 150, 222), GREY)
    p.text(start, 236, "time", size=11.5)

    p.title(20, 276, "Inside one panel: one thread, no waiting between layers")
    words = ["gather", "layer 1", "layer 2", "layer 3", "loss"]
    words += ["deltas 3", "deltas 2", "deltas 1"]
    fills = [LIGHT_GREY] + [LIGHT_BLUE] * 3 + [LIGHT_GREY] + [LIGHT_GREEN] * 3
    x = 20
    for word, fill in zip(words, fills, strict=True):
        p.box(x, 296, 74, 34, fill, words=word, size=12)
        if x > 20:
            p.arrow((x - 9, 313), (x, 313))
        x += 83.5
    p.text(20 + 83.5 * 2.4, 344, "forward: W X", align="center", size=11.5)
    p.text(
        20 + 83.5 * 6.4,
        344,
        "gradient of the inputs: Wᵀ D",
        align="center",
        size=11.5,
    )

    p.title(20, 386, "Inside one task: neighbouring rows of one layer")
    words = [
        ("gradient: D Xᵀ\nover all panels,\nin a fixed order", LIGHT_ORANGE),
        ("L2 and the\noptimizer\n(float32)", LIGHT_ORANGE),
        ("round to the\nnumber format", LIGHT_ORANGE),
        ("write both\ncompute copies:\nW and Wᵀ", LIGHT_ORANGE),
    ]
    x = 20
    for word, fill in words:
        p.box(x, 406, 146, 62, fill, ORANGE, word, size=12)
        if x > 20:
            p.arrow((x - 24, 437), (x, 437))
        x += 170
    p.text(
        20,
        486,
        "A task has about 4,096 connections. "
        "The gradient of a whole layer never exists.",
        size=12,
    )
    return p


def sparse_rows():
    """A batch touches few features; the others catch up later."""
    p = Picture(600)
    p.title(20, 22, "1   A batch touches few rows of a first layer stored by feature")
    n, size = 10, 20
    samples = {0: (1, 4), 1: (4, 7), 2: (1, 8)}
    touched = sorted({f for features in samples.values() for f in features})
    left, top = 96, 84
    p.text(left - 6, 62, "batch (CSR): 3 samples", align="left")
    for sample, features in samples.items():
        y = top + 26 * sample
        p.text(left - 8, y + size / 2, f"sample {sample}", align="right", size=11.5)
        for feature in range(n):
            fill = BLUE if feature in features else "white"
            p.box(left + feature * size * 0.9, y, size * 0.9, size, fill, line=0.7)
    p.text(
        left, top + 94, "It holds features 1, 4, 7 and 8.\nOthers are zero.", size=12
    )
    p.text(
        20,
        top + 160,
        "forward: a sample's sums add up the\nweight rows of its features\n"
        "gradient: that of a feature adds up\nthe deltas of its samples",
        size=12,
    )

    left = 390
    p.text(left + 45, 62, "weights", align="center", size=12)
    p.text(left + 150, 62, "optimizer's moments", align="center", size=12)
    for feature in range(n):
        y = top + feature * 19
        used = feature in touched
        fill = LIGHT_BLUE if used else "white"
        edge = BLUE if used else GREY
        p.text(
            left - 8,
            y + 8,
            f"feature {feature}",
            align="right",
            size=11.5,
            color=BLACK if used else GREY,
            bold=used,
        )
        p.box(left, y, 90, 16, fill, edge)
        p.box(left + 94, y, 60, 16, fill, edge)
        p.box(left + 154, y, 60, 16, fill, edge)
    p.text(left + 226, top + 27, "read and\nupdated", size=11.5, color=BLUE)
    p.text(left + 226, top + 103, "untouched", size=11.5, color=GREY)

    p.title(20, 318, "2   Lazy update: missed steps are caught up in one go")
    held = {1: (0, 4, 5, 11), 2: (2,), 4: (0, 3, 6, 9), 6: (), 7: (0, 8)}
    steps, left, top, wide = 12, 110, 366, 42
    for step in range(steps):
        x = left + (step + 0.5) * wide
        p.text(x, 346, str(step + 1), align="center", size=11.5)
    p.text(left - 10, 346, "step", align="right", size=11.5)
    for row, (feature, when) in enumerate(held.items()):
        y = top + 34 * row
        p.text(left - 10, y + 11, f"feature {feature}", align="right", size=11.5)
        marks = [*when, steps]
        previous = 0
        for mark in marks:
            if mark > previous:
                x, width = left + previous * wide, (mark - previous) * wide
                p.box(x + 2, y, width - 4, 22, LIGHT_ORANGE, ORANGE)
                if width > wide:
                    words = f"{mark - previous} steps caught up"
                    if width < 3 * wide:
                        words = f"{mark - previous} steps"
                    p.text(x + width / 2, y + 11, words, align="center", size=11)
            if mark < steps:
                p.box(left + mark * wide + 2, y, wide - 4, 22, BLUE)
            previous = mark + 1
    x = left + steps * wide + 4
    p.line([(x, 356), (x, 534)], width=3)
    p.text(x + 8, 440, "end\nof the\nepoch", size=11.5)
    y = 556
    p.box(40, y - 9, 26, 18, BLUE)
    p.text(74, y, "the batch holds the feature: its gradient, and the optimizer's step")
    p.box(40, y + 15, 26, 18, LIGHT_ORANGE, ORANGE)
    p.text(
        74,
        y + 24,
        "it does not: momentum and L2 go on without a gradient, replayed in one go",
    )
    return p


def layouts():
    """The same matrix as rows, blocks of four rows, and dense."""
    p = Picture(452)
    rng = random.Random(4)
    n_rows, n_columns, size, top = 8, 12, 15, 84
    alone = [sorted(rng.sample(range(n_columns), 3)) for _ in range(n_rows)]
    shared = [sorted(rng.sample(range(n_columns), 3)) for _ in range(n_rows // 4)]
    kinds = [
        ("rows (CSR)", "each unit has its own inputs", alone),
        (
            "blocks of 4",
            "4 units share their inputs",
            [shared[r // 4] for r in range(8)],
        ),
        ("dense", "all inputs, in blocks of 4", [range(n_columns)] * n_rows),
    ]
    p.title(20, 22, "A layer's weights: a row is a unit (output), a column is an input")
    for kind, (name, meaning, columns) in enumerate(kinds):
        left = 22 + 234 * kind
        p.text(left, 48, name, bold=True, size=13.5)
        p.text(left, 66, meaning, size=12)
        for row in range(n_rows):
            y = top + row * size
            fill = ORANGE if row < (4 if kind else 1) else LIGHT_BLUE
            for column in columns[row]:
                p.box(left + column * size, y, size, size, fill, fill, line=0)
            p.line([(left, y), (left + n_columns * size, y)], GREY, width=0.6)
        for column in range(n_columns):
            x = left + column * size
            p.line([(x, top), (x, top + n_rows * size)], GREY, width=0.6)
        for row in (0, 4, 8) if kind else range(9):
            y = top + row * size
            p.line([(left, y), (left + n_columns * size, y)])
        for x in (left, left + n_columns * size):
            p.line([(x, top), (x, top + n_rows * size)])

    p.text(20, 230, "How the orange part is stored:", bold=True)
    for kind in range(3):
        left, y = 22 + 234 * kind, 258
        p.text(left, y, "indices", size=11.5)
        indices = [alone[0], shared[0], []][kind]
        for i, column in enumerate(indices):
            x = left + 62 + i * [30, 46, 0][kind]
            p.box(x, y - 10, 24, 20, "white", BLACK, str(column), size=11.5)
        if not indices:
            p.text(left + 62, y, "none", size=11.5)
        p.text(left, y + 34, "weights", size=11.5)
        if kind == 0:
            for i in range(3):
                p.box(left + 62 + 30 * i, y + 24, 24, 20, ORANGE)
        else:
            n, high = (3, 13) if kind == 1 else (8, 13)
            for i in range(n):
                for row in range(4):
                    step, wide = (46, 24) if kind == 1 else (14, 14)
                    x = left + 62 + step * i
                    p.box(x, y + 24 + high * row, wide, high, ORANGE, BLACK, line=0.7)
            if kind == 2:
                p.text(left + 62 + 14 * 8 + 6, y + 50, "…", size=13)
    for kind, (index, served) in enumerate(
        [
            ("One index for one weight.", "one weight"),
            ("One index for four weights.", "four weights"),
            ("No index.", "four weights"),
        ]
    ):
        words = f"{index}\nA panel's row of 64 samples\nserves {served}."
        p.text(22 + 234 * kind, 374, words, size=12)
    p.text(
        20,
        424,
        "Every layer but the first is stored twice: by output for the forward "
        "product,\nand by input for the gradient of the inputs.",
        size=12,
    )
    return p


def number_formats():
    """Where the number format is used, and where float32."""
    p = Picture(560)
    narrow, sums, full = (
        (LIGHT_ORANGE, ORANGE),
        (LIGHT_GREEN, GREEN),
        (LIGHT_BLUE, BLUE),
    )
    p.title(20, 22, "Numbers in the three products of a layer")
    for x, (fill, edge), words in (
        (24, narrow, "the number format"),
        (220, sums, "sums: float32 (int8: int32)"),
        (470, full, "always float32"),
    ):
        p.box(x, 42, 22, 18, fill, edge)
        p.text(x + 30, 51, words)

    rows = (
        (
            "forward",
            ("W", "copy by output"),
            ("X", "inputs of the layer"),
            ("Y", "sums"),
            "bias, activation",
            "next layer's X",
            90,
        ),
        (
            "gradient of the inputs",
            ("Wᵀ", "copy by input"),
            ("D", "deltas"),
            ("Wᵀ D", "sums"),
            "activation's derivative",
            "deltas of the layer before",
            200,
        ),
        (
            "gradient of the weights",
            ("D", "deltas"),
            ("X", "inputs of the layer"),
            ("D Xᵀ", "sums"),
            f"{TIMES} 1 / batch, L2",
            "",
            310,
        ),
    )
    for name, first, second, result, then, kept, y in rows:
        p.text(70, y, name, bold=True)
        for x, (symbol, meaning), color in (
            (70, first, narrow),
            (222, second, narrow),
            (374, result, sums),
        ):
            p.box(x, y + 14, 118, 48, *color)
            p.text(x + 59, y + 29, symbol, align="center", bold=True, size=13)
            p.text(x + 59, y + 48, meaning, align="center", size=11.5)
        p.text(205, y + 38, TIMES, align="center", size=15)
        p.text(357, y + 38, "=", align="center", size=15)
        p.arrow((494, y + 38), (524, y + 38))
        p.box(526, y + 14, 156, 28, *full, then, size=11.5)
        if kept:
            p.arrow((604, y + 42), (604, y + 58))
            p.text(612, y + 50, "round", size=11)
            p.box(526, y + 58, 156, 26, *narrow, kept, size=11.5)

    p.text(70, 420, "the optimizer", bold=True)
    y = 434
    p.arrow((604, 352), (604, y))
    p.box(526, y, 156, 48, *full, "gradient", size=12)
    p.arrow((526, y + 24), (494, y + 24))
    p.box(296, y, 196, 48, *full, "Adam's moments\n(SGD's velocity)", size=12)
    p.arrow((296, y + 24), (230, y + 24))
    p.box(70, y, 158, 48, *full, "master W\n(and biases)", size=12)
    p.line([(70, y + 24), (38, y + 24), (38, 128)])
    for target in (128, 238):
        p.arrow((38, target), (69, target))
    p.text(22, 330, "round to nearest", align="center", size=11.5)
    p.axes.texts[-1].set_rotation(90)
    p.text(
        20,
        528,
        "The sums of the last layer stay float32. float32: nothing is rounded. "
        "float16: D is multiplied\nby a power of two first. int8: each orange box has "
        "scales; D is kept as float32\nand rounded for each of its two products, "
        "stochastically.",
        size=12,
    )
    return p
