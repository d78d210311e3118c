"""Draw the pictures of the documentation.

    python doc/pictures.py                           writes doc/pictures/*.svg
    python doc/pictures.py FOLDER --format png       elsewhere, or as PNG, to look at

The same version of matplotlib writes the same pictures each time; the files name the
version that made them.
"""

import argparse
from pathlib import Path

import charts
import diagrams
import matplotlib

#: The names of the files, and of the functions that draw them.
PICTURES = {
    charts: (
        "accuracy_over_time",
        "tables",
        "local_steps",
        "sparsity",
        "schedules",
        "losses",
        "learning_rates",
    ),
    diagrams: ("panel", "regions", "sparse_rows", "layouts", "number_formats"),
}


def draw_all(folder, suffix):
    """Write all pictures as files that end in `suffix`: svg or png."""
    folder.mkdir(parents=True, exist_ok=True)
    # Names of clip paths and glyphs follow from the salt, not from chance.
    settings = {"svg.hashsalt": "sparsenet", "font.family": "DejaVu Sans"}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the reader's own settings are
        matplotlib.rcParams.update(settings)
        for module, names in PICTURES.items():
            for name in names:
                getattr(module, name)().save(folder / f"{name}.{suffix}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parent / "pictures"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    parser.add_argument("--format", choices=("svg", "png"), default="svg")
    args = parser.parse_args()
    draw_all(args.folder, args.format)


if __name__ == "__main__":
    main()
