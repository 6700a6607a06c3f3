"""When to stop repeating: a rule over the rows so far, asked after each pass over the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from eagle_bench.config.run import RunConfig
from eagle_bench.figures.frame import frame, methods
from eagle_bench.figures.pairing import pair, pooled_sums
from eagle_bench.figures.statistics import (
    FEWEST_CLUSTERS,
    Floats,
    Sampling,
    cluster_interval,
    prompts_needed,
    ratio_of_ratios,
)
from eagle_bench.records.rows import GenerationRow

DRIFT_REPEATS = 2
"""Fewer would leave drift unknown."""


@dataclass(frozen=True)
class Decision:
    """Whether to repeat once more, and why.

    Attributes
    ----------
    half_width : float | None
        Of the speedup's interval, over the speedup.
    prompts_needed : int | None
        Prompts that would reach `measure.target_ci`, where repeats cannot.
    """

    go_on: bool
    reason: str
    half_width: float | None = None
    prompts_needed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def decide(rows: Sequence[GenerationRow], config: RunConfig) -> Decision:
    """Whether another repeat is wanted.

    With `repeats=auto` the run goes on until the interval of the speedup is as narrow as
    `measure.target_ci`; until `measure.max_repeats`, or another repeat would exceed
    `measure.budget_s` seconds of generation (both arms, warm-up apart); or until it is plain
    that repeats cannot narrow it so far, since prompts differ from each other. The answer
    depends on nothing but the rows, so a resumed run decides as an undisturbed one.

    Parameters
    ----------
    rows : sequence of GenerationRow
        Of whole repeats.
    """
    table = frame(rows)
    done = int(table["repeat"].nunique())
    if isinstance(config.repeats, int):
        return Decision(done < config.repeats, f"{done} of {config.repeats} repeats are done")
    if done < DRIFT_REPEATS:
        return Decision(True, "drift shows only between two repeats")
    return _judge(table, done, config)


def _judge(table: pd.DataFrame, done: int, config: RunConfig) -> Decision:
    measure = config.measure
    sums = _sums_by_repeat(table, drop_flagged=config.temperature == 0)
    sampling = Sampling(config.seed, measure.bootstrap_resamples, measure.confidence)
    interval = cluster_interval(sums.sum(axis=0), ratio_of_ratios, sampling)
    if interval is None:
        return Decision(False, f"there is no interval of fewer than {FEWEST_CLUSTERS} prompts")
    half = (interval.high - interval.low) / 2 / float(ratio_of_ratios(sums.sum(axis=(0, 1))))
    wanted = measure.target_ci
    width = f"the speedup's interval is ±{half:.1%}"
    if half <= wanted:
        return Decision(False, f"{width}, within the wanted ±{wanted:.1%}", half)
    if done >= measure.max_repeats:
        return Decision(False, f"{width} after measure.max_repeats={done}", half)
    spent_s = float(table["busy_s"].sum())
    if spent_s * (done + 1) / done > measure.budget_s:
        return Decision(
            False,
            f"{width}; {done} repeats took {spent_s:.0f} s, and another one would exceed "
            f"measure.budget_s={measure.budget_s:g}",
            half,
        )
    noise = noise_share(sums)
    best = half * float(np.sqrt(1 - noise * (1 - done / measure.max_repeats)))
    if best > wanted:
        prompts = prompts_needed(sums.shape[1], best, wanted)
        number = f"about {prompts}" if prompts else "many more"
        return Decision(
            False,
            f"{width}, and {measure.max_repeats} repeats would leave ±{best:.1%}, since prompts "
            f"differ; {number} prompts would give the wanted ±{wanted:.1%}",
            half,
            prompts,
        )
    return Decision(True, f"{width}, wider than the wanted ±{wanted:.1%}", half)


def _sums_by_repeat(table: pd.DataFrame, *, drop_flagged: bool) -> Floats:
    """Tokens and seconds of both arms: float[repeats, prompts, 4], as `pooled_sums`."""
    method = methods(table)[0]
    kept = pair(table, method, drop_flagged=drop_flagged).cells.index
    by_repeat = [
        pooled_sums(pair(part, method, drop_flagged=False).cells.loc[kept])
        for _, part in table.groupby("repeat", sort=True)
    ]
    return np.stack([sums.to_numpy(np.float64) for sums in by_repeat])


def noise_share(sums: Floats) -> float:
    """Share of the speedup's variance that more repeats of the same prompts would remove.

    Parameters
    ----------
    sums : float[repeats, prompts, 4]
        Tokens and seconds of the method, tokens and seconds of the baseline; at least two
        repeats.

    Returns
    -------
    float
        From 0, all repeats of a prompt alike, to 1, all prompts alike. Each prompt's pull on
        the logarithm of the speedup varies between repeats (within) and between prompts; the
        within part falls as 1 / repeats.
    """
    repeats = len(sums)
    whole = sums.sum(axis=(0, 1))
    pull = (sums / whole) @ np.array([1.0, -1.0, -1.0, 1.0])
    within = repeats * float(pull.var(axis=0, ddof=1).sum())
    spread = float((pull.sum(axis=0) ** 2).sum())
    return min(1.0, within / spread) if spread > 0 else 0.0
