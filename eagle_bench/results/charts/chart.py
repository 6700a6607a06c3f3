"""What a picture shows. Two pens draw it: `png` for files and trackers, `svg` for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Bar:
    """One value: where it stands, its series and, when known, its interval."""

    place: str
    series: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Chart:
    """A figure over named places, for one or more series.

    `note` says in a sentence what to look for, `number` formats a value, `reference` is a
    value to compare with (its name in `reference_label`), `shape` how it is drawn. `file` is the
    name of its PNG; without one the report alone shows it.
    """

    title: str
    note: str
    x_label: str
    bars: Sequence[Bar]
    number: str = "{:.2f}"
    reference: float | None = None
    reference_label: str = ""
    shape: Literal["bars", "lines"] = "bars"
    file: str = ""

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
        """Where the axis ends: an interval beyond twice the largest value leaves the picture."""
        highs = [bar.value if bar.high is None else bar.high for bar in self.bars]
        largest = max([*(bar.value for bar in self.bars), self.reference or 0.0])
        return min(max([largest, *highs]), 2 * largest) or 1.0

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
