"""The pen that draws a chart as a PNG file."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from eagle_bench.results.charts.chart import Chart
from eagle_bench.results.charts.style import COLOURS, INK, MUTED, canvas, label_ticks, width_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUP_WIDTH = 0.78
SINGLE_WIDTH = 0.56
HEADROOM = 1.16
CHARACTERS_PER_INCH = 15


def draw(chart: Chart, folder: Path) -> Path:
    """Write the chart into `folder` as `chart.file` and return its path."""
    path, series = folder / chart.file, chart.series
    width_in = width_for(len(chart.places), 1 if chart.shape == "lines" else len(series))
    with canvas(path, width_in) as (figure, axes):
        (_lines if chart.shape == "lines" else _bars)(axes, chart)
        if chart.reference is not None:
            axes.axhline(chart.reference, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
            axes.annotate(
                chart.reference_label,
                (1.0, chart.reference),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                color=MUTED,
            )
        axes.set_ylim(0, chart.top * HEADROOM)
        axes.yaxis.set_major_formatter(lambda value, _: chart.number.format(value))
        margin = 0.6 if len(chart.places) > 1 else 1.2
        axes.set_xlim(-margin, len(chart.places) - 1 + margin)
        label_ticks(axes, chart.places)
        axes.set_title(chart.title)
        note = textwrap.fill(chart.note, int(CHARACTERS_PER_INCH * width_in))
        axes.set_xlabel(f"{chart.x_label}\n\n{note}".strip())
        if len(series) > 1:
            figure.legend(loc="outside lower center", ncols=min(4, len(series)))
    return path


def _bars(axes: Axes, chart: Chart) -> None:
    """Upright bars, side by side at each place, their values above them."""
    places, series = chart.places, chart.series
    width = (GROUP_WIDTH if len(series) > 1 else SINGLE_WIDTH) / len(series)
    crowded = len(series) > 2
    for index, name in enumerate(series):
        own = [bar for bar in chart.bars if bar.series == name]
        shift = (index - (len(series) - 1) / 2) * width
        across = [places.index(bar.place) + shift for bar in own]
        colour = COLOURS[index % len(COLOURS)]
        axes.bar(across, [bar.value for bar in own], width * 0.92, color=colour, label=name)
        for x, bar in zip(across, own, strict=True):
            if bar.low is not None and bar.high is not None:
                around = [[max(0.0, bar.value - bar.low)], [max(0.0, bar.high - bar.value)]]
                axes.errorbar(x, bar.value, yerr=around, color=INK, linewidth=1.2, capsize=3.5)
            axes.annotate(
                chart.text(bar),
                (x, bar.value if bar.high is None else bar.high),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=8 if crowded else 10,
                fontweight="normal" if crowded else "bold",
                bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 0.8},
            )


def _lines(axes: Axes, chart: Chart) -> None:
    """A line for each series over evenly spaced places, its intervals behind the points."""
    for index, name in enumerate(chart.series):
        own = [bar for bar in chart.bars if bar.series == name]
        across = [chart.places.index(bar.place) for bar in own]
        colour = COLOURS[index % len(COLOURS)]
        heights = [bar.value for bar in own]
        axes.plot(across, heights, color=colour, marker="o", markersize=5, linewidth=2, label=name)
        for x, bar in zip(across, own, strict=True):
            if bar.low is not None and bar.high is not None:
                axes.vlines(x, bar.low, bar.high, color=colour, linewidth=1.2)
            if len(chart.series) == 1:
                axes.annotate(
                    chart.text(bar), (x, bar.value), xytext=(6, 6), textcoords="offset points"
                )
