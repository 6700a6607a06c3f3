"""Grouped bars with intervals: the one chart that most figures need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eagle_bench.results.charts.style import COLOURS, INK, MUTED, canvas, label_ticks, width_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUP_WIDTH = 0.78
SINGLE_WIDTH = 0.56
HEADROOM = 1.16


@dataclass(frozen=True)
class Bar:
    """One bar: where it stands, its series, its height and, when known, its interval."""

    place: str
    series: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class BarChart:
    """What is drawn. `number` formats the value above a bar; `reference` is a dashed line."""

    title: str
    x_label: str
    y_label: str
    bars: Sequence[Bar]
    number: str = "{:.2f}"
    reference: float | None = None
    reference_label: str = ""


def draw_bars(chart: BarChart, path: Path) -> Path:
    """Write the chart as a PNG and return its path."""
    places = list(dict.fromkeys(bar.place for bar in chart.bars))
    series = list(dict.fromkeys(bar.series for bar in chart.bars))
    width = (GROUP_WIDTH if len(series) > 1 else SINGLE_WIDTH) / len(series)
    with canvas(path, width_for(len(places), len(series))) as (figure, axes):
        for index, name in enumerate(series):
            own = [bar for bar in chart.bars if bar.series == name]
            shift = (index - (len(series) - 1) / 2) * width
            colour = COLOURS[index % len(COLOURS)]
            _draw_series(axes, own, places, shift, width * 0.92, colour, name)
        _write_values(axes, chart, places, series, width)
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
        tops = [bar.value if bar.high is None else bar.high for bar in chart.bars]
        axes.set_ylim(0, max([*tops, chart.reference or 0.0]) * HEADROOM or 1.0)
        margin = 0.6 if len(places) > 1 else 1.2
        axes.set_xlim(-margin, len(places) - 1 + margin)
        label_ticks(axes, places)
        axes.set_title(chart.title)
        axes.set_xlabel(chart.x_label)
        axes.set_ylabel(chart.y_label)
        if len(series) > 1:
            figure.legend(loc="outside lower center", ncols=min(4, len(series)))
    return path


def _draw_series(
    axes: Axes,
    bars: Sequence[Bar],
    places: Sequence[str],
    shift: float,
    width: float,
    colour: str,
    name: str,
) -> None:
    axes.bar(
        [places.index(bar.place) + shift for bar in bars],
        [bar.value for bar in bars],
        width,
        color=colour,
        label=name,
    )
    for bar in bars:
        if bar.low is not None and bar.high is not None:
            axes.errorbar(
                places.index(bar.place) + shift,
                bar.value,
                yerr=[[max(0.0, bar.value - bar.low)], [max(0.0, bar.high - bar.value)]],
                color=INK,
                linewidth=1.2,
                capsize=3.5,
            )


def _write_values(
    axes: Axes, chart: BarChart, places: Sequence[str], series: Sequence[str], width: float
) -> None:
    crowded = len(series) > 2
    for bar in chart.bars:
        shift = (series.index(bar.series) - (len(series) - 1) / 2) * width
        axes.annotate(
            chart.number.format(bar.value),
            (places.index(bar.place) + shift, bar.value if bar.high is None else bar.high),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=8 if crowded else 10,
            fontweight="normal" if crowded else "bold",
            bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 0.8},
        )
