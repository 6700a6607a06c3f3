"""Pictures as geometry in percent, so that text keeps its size on any screen.

`bars_view` and `lines_view` work out where everything goes; the
template only writes it down as SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from eagle_bench.results.charts.chart import Bar, Chart

HEADROOM = 1.06
TICKS = 5
MARKS = "●■▲◆▼★✚"
"""One for each series, so that lines are told apart without their colours."""


@dataclass(frozen=True)
class BarView:
    """One drawn bar; lengths in percent of the width."""

    series: int
    name: str
    value: str
    interval: str
    width: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class BarsView:
    """Bars by place, and where the reference stands (percent)."""

    groups: Sequence[tuple[str, Sequence[BarView]]]
    reference: float | None


@dataclass(frozen=True)
class Dot:
    """One drawn point; coordinates in percent, y from the top."""

    x: float
    y: float
    low: float | None
    high: float | None
    value: str


@dataclass(frozen=True)
class LinesView:
    """Ticks as (percent, text) and, per series, its points from left to right.

    `label_below` puts the reference's name on the side of its line with fewer points.
    """

    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    series: Sequence[Sequence[Dot]]
    reference: float | None
    label_below: bool


def bars_view(chart: Chart) -> BarsView:
    """Lay out horizontal bars from zero, one group per place."""
    names = chart.series
    scale = 100 / (chart.top * HEADROOM)

    def view(bar: Bar) -> BarView:
        return BarView(
            names.index(bar.series),
            bar.series if len(names) > 1 else bar.place,
            chart.text(bar),
            chart.interval(bar),
            bar.value * scale,
            None if bar.low is None else max(0.0, bar.low) * scale,
            None if bar.high is None else min(100.0, bar.high * scale),
        )

    groups = [
        (place, [view(bar) for bar in chart.bars if bar.place == place]) for place in chart.places
    ]
    return BarsView(groups, None if chart.reference is None else chart.reference * scale)


def lines_view(chart: Chart) -> LinesView:
    """Lay out lines from zero over evenly spaced places."""
    places = chart.places
    ticks = [float(tick) for tick in MaxNLocator(TICKS).tick_values(0, chart.top * HEADROOM)]
    highest = ticks[-1]

    def across(place: str) -> float:
        return 100 * (places.index(place) + 0.5) / len(places)

    def down(value: float) -> float:
        return 100 * (1 - value / highest)

    def dot(bar: Bar) -> Dot:
        low = None if bar.low is None else down(max(0.0, bar.low))
        high = None if bar.high is None else max(0.0, down(bar.high))
        return Dot(across(bar.place), down(bar.value), low, high, chart.text(bar))

    return LinesView(
        [(across(place), place) for place in places],
        [(down(tick), chart.number.format(tick)) for tick in ticks],
        [[dot(bar) for bar in chart.bars if bar.series == name] for name in chart.series],
        None if chart.reference is None else down(chart.reference),
        2 * sum(bar.value > (chart.reference or 0.0) for bar in chart.bars) > len(chart.bars),
    )
