"""The course of a training as table and picture: history.csv and curves.png."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from eagle_bench.records.atomic import replacing
from eagle_bench.results.charts.style import COLOURS, MUTED, canvas
from eagle_bench.training.loop import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, HEIGHT_IN = 10.5, 4.2
SMOOTHED_SHARE = 0.03
POSITION = re.compile(r"accuracy_(\d+)")


def write_curves(history: Sequence[Figures], folder: Path) -> None:
    """Save the logged rows and their picture into `folder`.

    Parameters
    ----------
    history : sequence of dict
        One row per logged step: `step`, `tokens`, `seconds`, `loss`, and either a head's
        `accuracy_K` per draft position or a target's `answer_accuracy`.
    """
    table = pd.DataFrame(history)
    with replacing(folder / "history.csv") as temporary:
        table.to_csv(temporary, index=False)
    with canvas(folder / "curves.png", WIDTH_IN, HEIGHT_IN) as (figure, axes):
        axes.remove()
        left, right = figure.subplots(1, 2)
        _draw_losses(left, table)
        _draw_accuracies(right, table)


def _draw_losses(axes: Axes, table: pd.DataFrame) -> None:
    names = {"loss": "what is minimised", "answer_loss": "answers alone"}
    shown = {name: label for name, label in names.items() if name in table}
    for colour, (name, label) in zip(COLOURS, shown.items(), strict=False):
        _draw(axes, table, name, label, colour)
    axes.set_title("Loss" if "answer_loss" in table else "Loss, weighted sum of positions")
    axes.set_ylim(bottom=0)
    if len(shown) > 1:
        axes.legend()
    _label_x(axes)


def _draw_accuracies(axes: Axes, table: pd.DataFrame) -> None:
    from matplotlib import colormaps

    positions = [name for name in table if POSITION.fullmatch(str(name))]
    if positions:
        shades = colormaps["viridis_r"]
        for index, name in enumerate(positions):
            shade = shades(0.15 + 0.8 * index / len(positions))
            _draw(axes, table, str(name), f"token {index + 1}", shade, raw=False)
        axes.set_title("Agreement with the target, by draft position")
    else:
        for colour, name in zip(COLOURS, ("answer_accuracy", "copy_accuracy"), strict=False):
            if name in table:
                _draw(axes, table, name, name.split("_")[0], colour)
        axes.set_title("Next-token accuracy")
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter("{x:.0%}")
    if axes.lines:
        axes.legend(loc="lower right", ncols=2 if len(positions) > 4 else 1)
    _label_x(axes)


def _draw(
    axes: Axes,
    table: pd.DataFrame,
    name: str,
    label: str,
    colour: str | tuple[float, ...],
    raw: bool = True,
) -> None:
    """A running mean over the last few percent of the rows, and the rows themselves paler."""
    tokens = table["tokens"] / 1e6
    if raw:
        axes.plot(tokens, table[name], color=colour, alpha=0.25, linewidth=0.8)
    window = max(1, round(SMOOTHED_SHARE * len(table)))
    smooth = table[name].rolling(window, min_periods=1, center=True).mean()
    axes.plot(tokens, smooth, color=colour, label=label, linewidth=1.8)


def _label_x(axes: Axes) -> None:
    axes.set_xlabel("million tokens trained on", color=MUTED)
    axes.set_xlim(left=0)
    axes.tick_params(axis="x", pad=7)
