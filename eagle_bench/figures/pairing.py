"""Speedup of a method over the baseline on the same prompts: three estimates, one pairing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from eagle_bench.figures.statistics import (
    Floats,
    Sampling,
    Statistic,
    cluster_interval,
    exp_of_mean,
    jackknife_error,
    minimum_detectable,
    prompts_needed,
    ratio_of_ratios,
    widest,
)
from eagle_bench.records.generation import BASELINE

PAIR = ["prompt_id", "turn"]
SUMMED = [
    *("new_tokens", "wall_s", "busy_s", "lost_s"),
    *("later_tokens", "decode_s", "decode_busy_s"),
]


STATISTICS: dict[str, Statistic] = {
    "pooled": ratio_of_ratios,
    "ratio_of_means": ratio_of_ratios,
    "geomean": exp_of_mean,
}


@dataclass(frozen=True)
class Pairs:
    """Both arms' sums for each prompt and turn, over the repeats that both arms have.

    `cells` is indexed by (prompt_id, turn) with a column `NAME/s` (speculative) and `NAME/b`
    (baseline) for each summed name. `flagged` are the pairs whose arms emitted different
    token counts in some repeat.
    """

    cells: pd.DataFrame
    flagged: list[tuple[str, int]]


def pair(table: pd.DataFrame, method: str, *, drop_flagged: bool) -> Pairs:
    """Match `method` with the baseline by prompt, turn and repeat.

    `drop_flagged` leaves out the pairs with unequal token counts: right for greedy decoding,
    where they mean that an output changed. Sampled outputs differ in length by chance, so
    there dropping them would select prompts.
    """
    keys = [*PAIR, "repeat"]
    arms = [
        table.loc[table["arm"] == arm, [*keys, *SUMMED]].set_index(keys)
        for arm in (method, BASELINE)
    ]
    both = arms[0].add_suffix("/s").join(arms[1].add_suffix("/b"), how="inner")
    unequal = both["new_tokens/s"] != both["new_tokens/b"]
    differing = unequal.groupby(level=PAIR, sort=False).any()
    flagged = [(str(prompt), int(turn)) for prompt, turn in differing.index[differing]]
    cells = both.groupby(level=PAIR, sort=False).sum()
    if drop_flagged:
        cells = cells.drop(index=flagged)
    return Pairs(cells, flagged)


def speedup(pairs: Pairs, sampling: Sampling, target_ci: float | None = None) -> dict[str, Any]:
    """The `speedup` part of a summary: end-to-end figures, and `decode` for decoding alone.

    With `target_ci`, a wanted half-width of the interval over the speedup, `prompts_needed` is
    the number of prompts, repeated as these were, that would give it.
    """
    whole = _estimates(pairs.cells, "new_tokens", "busy_s", "wall_s", sampling)
    decode = _estimates(pairs.cells, "later_tokens", "decode_busy_s", "decode_s", sampling)
    half, wanted = whole["relative_half_width"], None
    if half is not None and target_ci is not None:
        prompts = pairs.cells.index.get_level_values("prompt_id").nunique()
        wanted = prompts_needed(prompts, half, target_ci)
    return {
        **whole,
        "prompts_needed": wanted,
        "decode": decode,
        "pairs": len(pairs.cells),
        "flagged_pairs": len(pairs.flagged),
    }


def _estimates(
    cells: pd.DataFrame, tokens: str, busy: str, latency: str, sampling: Sampling
) -> dict[str, Any]:
    """Pooled by device time; per-prompt rates by what the prompt itself waited.

    Where others' work took time, each interval also covers the one without that time.
    """
    cells = cells[(cells[f"{tokens}/s"] > 0) & (cells[f"{tokens}/b"] > 0)]
    figures: dict[str, Any] = {
        "pooled": None,
        "low": None,
        "high": None,
        "ratio_of_means": None,
        "geomean": None,
        "intervals": {"ratio_of_means": None, "geomean": None},
        "relative_half_width": None,
        "minimum_detectable": None,
    }
    if cells.empty:
        return figures
    measured = _clusters(cells, tokens, busy, latency)
    readings = [measured]
    if is_disturbed(cells):
        readings.append(_clusters(undisturbed(cells, busy, latency), tokens, busy, latency))
    for name, statistic in STATISTICS.items():
        figures[name] = float(statistic(measured[name].sum(axis=0)))
    intervals = {
        name: widest([cluster_interval(reading[name], statistic, sampling) for reading in readings])
        for name, statistic in STATISTICS.items()
    }
    interval = intervals.pop("pooled")
    if interval is None:
        return figures
    figures["low"], figures["high"] = interval.low, interval.high
    for name, bounds in intervals.items():
        figures["intervals"][name] = [bounds.low, bounds.high] if bounds else None
    figures["relative_half_width"] = (interval.high - interval.low) / 2 / figures["pooled"]
    pooled = measured["pooled"]
    log_error = jackknife_error(pooled, lambda sums: np.log(ratio_of_ratios(sums)))
    figures["minimum_detectable"] = minimum_detectable(log_error, len(pooled), sampling.confidence)
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in figures.items()
    }


def _clusters(cells: pd.DataFrame, tokens: str, busy: str, latency: str) -> dict[str, Floats]:
    """What each of `STATISTICS` is a function of: float[prompts, columns]."""
    rate_s = cells[f"{tokens}/s"] / cells[f"{latency}/s"]
    rate_b = cells[f"{tokens}/b"] / cells[f"{latency}/b"]
    one = pd.Series(1.0, index=cells.index)
    log_ratio = pd.Series(np.log(rate_s / rate_b), index=cells.index)
    return {
        "pooled": pooled_sums(cells, tokens, busy).to_numpy(np.float64),
        "ratio_of_means": _by_prompt(rate_s, one, rate_b, one),
        "geomean": _by_prompt(log_ratio, one),
    }


def is_disturbed(cells: pd.DataFrame) -> bool:
    """Whether others' work took some of the seconds."""
    return bool(cells[["lost_s/s", "lost_s/b"]].to_numpy().any())


def undisturbed(cells: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Seconds as they would be without those that others took."""
    kept = {arm: 1 - cells[f"lost_s/{arm}"] / cells[f"wall_s/{arm}"] for arm in "sb"}
    return cells.assign(
        **{
            f"{column}/{arm}": cells[f"{column}/{arm}"] * kept[arm]
            for column in columns
            for arm in kept
        }
    )


def pooled_sums(
    cells: pd.DataFrame, tokens: str = "new_tokens", busy: str = "busy_s"
) -> pd.DataFrame:
    """What `ratio_of_ratios` makes the pooled speedup of: four columns, a line per prompt."""
    columns = [f"{tokens}/s", f"{busy}/s", f"{tokens}/b", f"{busy}/b"]
    return cells[columns].groupby(level="prompt_id", sort=False).sum()


def _by_prompt(*columns: pd.Series[Any]) -> Floats:
    """Sums over each prompt's turns: float[prompts, columns]."""
    table = pd.concat(columns, axis=1, keys=range(len(columns)))
    return table.groupby(level="prompt_id", sort=False).sum().to_numpy(np.float64)
