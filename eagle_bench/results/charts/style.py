"""How every picture looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eagle_bench.records.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7A7A7A")
"""Okabe and Ito's palette: distinct under the common colour-vision deficiencies."""

INK = "#24292f"
MUTED = "#6e7781"
GRID = "#d8dee4"
DPI = 160


@contextmanager
def canvas(path: Path, width_in: float, height_in: float = 4.2) -> Iterator[tuple[Figure, Axes]]:
    """Draw on one pair of axes; `path` holds the PNG afterwards. Sizes in inches."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    settings: dict[Any, Any] = {
        "font.family": "sans-serif",
        "font.size": 10.5,
        "text.color": INK,
        "axes.edgecolor": GRID,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
        "axes.titlesize": 13,
        "axes.titleweight": "bold",
        "axes.titlepad": 14,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "xtick.color": INK,
        "ytick.color": MUTED,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
    }
    with mpl.rc_context(settings):
        figure = Figure(
            figsize=(width_in, height_in), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
        )
        FigureCanvasAgg(figure)
        yield figure, figure.add_subplot()
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI)


def width_for(places: int, series: int) -> float:
    """Inches that leave each bar of each place room for its label."""
    return min(14.0, max(5.6, 1.4 + places * (0.45 + 0.5 * series)))


def label_ticks(axes: Axes, labels: Sequence[str]) -> None:
    """Name the places 0, 1, ... on the x axis; slanted when the names are long."""
    axes.set_xticks(range(len(labels)), labels)
    if sum(map(len, labels)) > 80 or max(map(len, labels), default=0) > 16:
        for tick in axes.get_xticklabels():
            tick.set_rotation(25)
            tick.set_horizontalalignment("right")
