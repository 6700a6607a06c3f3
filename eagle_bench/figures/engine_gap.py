"""The engine gap: whether an engine runs a head as our loop does, from the counts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eagle_bench.figures.statistics import Sampling, cluster_interval, ratio_of_ratios
from eagle_bench.records.counts import Counts


@dataclass(frozen=True)
class EngineGap:
    """The engine's tau over ours on the same prompts.

    Attributes
    ----------
    pooled : float or None
        Ratio of the taus over all rounds; None where one side had no round.
    low, high : float or None
        Its interval over prompts; None for a single prompt.
    prompts, equal_prompts : int
        Prompts compared, and those whose counts are equal, each of them.
    """

    pooled: float | None
    low: float | None
    high: float | None
    prompts: int
    equal_prompts: int

    @property
    def exact(self) -> bool:
        """Whether every count of every prompt is equal."""
        return self.equal_prompts == self.prompts

    @property
    def holds_one(self) -> bool:
        """Whether the interval is there and holds 1."""
        return self.low is not None and self.high is not None and self.low <= 1 <= self.high


def engine_gap(engine: Sequence[Counts], ours: Sequence[Counts], sampling: Sampling) -> EngineGap:
    """Compare the counts of the same prompts, in the same order.

    Parameters
    ----------
    engine, ours : sequence of Counts
        As the engine counted, and our loop's after the engine's stopping rule (`counted`,
        `clipped`): the raw taus differ by the stopping rule alone.
    sampling : Sampling
        Seed, resamples and confidence of the interval.
    """
    sums = np.array(
        [
            [*_tokens_and_rounds(theirs), *_tokens_and_rounds(own)]
            for theirs, own in zip(engine, ours, strict=True)
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
    equal = sum(theirs == own for theirs, own in zip(engine, ours, strict=True))
    total = sums.sum(axis=0)
    if not (total[1] and total[3]):
        return EngineGap(None, None, None, len(engine), equal)
    interval = cluster_interval(sums, ratio_of_ratios, sampling)
    low, high = (interval.low, interval.high) if interval else (None, None)
    return EngineGap(float(ratio_of_ratios(total)), low, high, len(engine), equal)


def _tokens_and_rounds(counts: Counts) -> tuple[int, int]:
    return counts.rounds + counts.accepted, counts.rounds
