"""A sheet to draw on, and its colours: what diagrams.py and charts.py share."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

#: Pixels; a figure is drawn in pixels from the upper left corner.
WIDTH = 700
DPI = 96

# Colours that colour-blind readers tell apart (Okabe & Ito 2008), and a light tint
# of each, on which black text is read.
BLUE, LIGHT_BLUE = "#0072B2", "#CFE4F1"
ORANGE, LIGHT_ORANGE = "#D98200", "#FBE3B8"
GREEN, LIGHT_GREEN = "#00795A", "#C9EBDF"
GREY, LIGHT_GREY = "#707070", "#EDEDED"
BLACK = "#1A1A1A"

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"


class Picture:
    """A white sheet of WIDTH x height pixels."""

    def __init__(self, height):
        self.figure = Figure(figsize=(WIDTH / DPI, height / DPI), facecolor="white")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(height, 0))
        self.axes.set_axis_off()

    def text(self, x, y, words, size=12.5, align="left", color=BLACK, bold=False):
        """Words whose middle line is at y; `align`: where x is."""
        self.axes.text(
            x,
            y,
            words,
            fontsize=size * 72 / DPI,
            ha=align,
            va="center_baseline",
            color=color,
            fontweight="bold" if bold else "normal",
            linespacing=1.25,
        )

    def title(self, x, y, words):
        self.text(x, y, words, size=14, bold=True)

    def box(self, x, y, width, height, fill="white", edge=BLACK, words="", **how):
        """A rectangle with words in its middle."""
        line = how.pop("line", 1)
        self.axes.add_patch(
            Rectangle((x, y), width, height, fc=fill, ec=edge, lw=line, clip_on=False)
        )
        if words:
            self.text(x + width / 2, y + height / 2, words, align="center", **how)

    def cells(self, x, y, n, size, fill="white", edge=BLACK):
        """n squares side by side."""
        for i in range(n):
            self.box(x + i * size, y, size, size, fill, edge, line=0.8)

    def arrow(self, start, end, color=BLACK):
        """From start to end, each (x, y)."""
        self.axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>",
                mutation_scale=11,
                lw=1.3,
                color=color,
                shrinkA=0,
                shrinkB=0,
                clip_on=False,
            )
        )

    def line(self, points, color=BLACK, width=1.3):
        x, y = zip(*points, strict=True)
        self.axes.plot(x, y, color=color, lw=width, clip_on=False)

    def save(self, path):
        if path.suffix == ".svg":
            FigureCanvasSVG(self.figure).print_svg(path, metadata={"Date": None})
        else:
            FigureCanvasAgg(self.figure)
            self.figure.savefig(path, dpi=2 * DPI)
