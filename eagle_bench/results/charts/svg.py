"""Pictures as geometry in percent, so that text keeps its size on any screen.

A chart holds its data. `bars_view` and `lines_view` work out where everything goes; the
template only writes it down as SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.ticker import MaxNLocator

from eagle_bench.results.charts.png import Bar

HEADROOM = 1.06
TICKS = 5


@dataclass(frozen=True)
class Chart:
    """A figure over named places, for one or more series.

    `note` says in a sentence what to look for, `number` formats a value, `reference` is a
    value to compare with (its name in `reference_label`), `shape` how it is drawn.
    """

    title: str
    note: str
    x_label: str
    bars: Sequence[Bar]
    number: str = "{:.2f}"
    reference: float | None = None
    reference_label: str = ""
    shape: Literal["bars", "lines"] = "bars"

    @property
    def places(self) -> list[str]:
        """Names along the axis, in order of appearance."""
        return list(dict.fromkeys(bar.place for bar in self.bars))

    @property
    def series(self) -> list[str]:
        """Names in the legend, in order of appearance."""
        return list(dict.fromkeys(bar.series for bar in self.bars))

    @property
    def top(self) -> float:
        """The largest value to be drawn."""
        highs = [bar.value if bar.high is None else bar.high for bar in self.bars]
        return max([*highs, self.reference or 0.0]) or 1.0

    def text(self, bar: Bar) -> str:
        """A value as it is printed."""
        return self.number.format(bar.value)

    def interval(self, bar: Bar) -> str:
        """The interval as it is printed; empty without one."""
        if bar.low is None or bar.high is None:
            return ""
        return f"{self.number.format(bar.low)} to {self.number.format(bar.high)}"

    @property
    def described(self) -> str:
        """All values in words, for those who do not see the picture."""
        values = "; ".join(
            ", ".join(filter(None, (bar.place, bar.series)))
            + f": {self.text(bar)}"
            + (f" ({self.interval(bar)})" if bar.low is not None else "")
            for bar in self.bars
        )
        return f"{self.title}. {values}."


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
            None if bar.high is None else bar.high * scale,
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
        high = None if bar.high is None else down(bar.high)
        return Dot(across(bar.place), down(bar.value), low, high, chart.text(bar))

    return LinesView(
        [(across(place), place) for place in places],
        [(down(tick), chart.number.format(tick)) for tick in ticks],
        [[dot(bar) for bar in chart.bars if bar.series == name] for name in chart.series],
        None if chart.reference is None else down(chart.reference),
        2 * sum(bar.value > (chart.reference or 0.0) for bar in chart.bars) > len(chart.bars),
    )
