"""How sure we are: intervals over prompts, detectable differences, drift.

A prompt is the unit that is resampled, with all its turns and repeats: repeats of one prompt
say nothing about the next prompt. Every figure here is a function of sums over prompts, so a
resample is one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Maps sums over clusters `[..., columns]` to values `[...]`."""


@dataclass(frozen=True)
class Interval:
    """Bounds of a two-sided confidence interval, in the figure's unit."""

    low: float
    high: float


@dataclass(frozen=True)
class Sampling:
    """How intervals are drawn: the seed, the number of resamples, the confidence."""

    seed: int
    resamples: int
    confidence: float


def ratio(sums: Floats) -> Floats:
    """Column 0 over column 1."""
    return np.asarray(sums[..., 0] / sums[..., 1], dtype=np.float64)


def ratio_of_ratios(sums: Floats) -> Floats:
    """(Column 0 / column 1) over (column 2 / column 3)."""
    return np.asarray(
        (sums[..., 0] / sums[..., 1]) / (sums[..., 2] / sums[..., 3]), dtype=np.float64
    )


def exp_of_mean(sums: Floats) -> Floats:
    """Geometric mean from a sum of logarithms (column 0) and their number (column 1)."""
    return np.asarray(np.exp(sums[..., 0] / sums[..., 1]), dtype=np.float64)


def cluster_interval(clusters: Floats, statistic: Statistic, sampling: Sampling) -> Interval | None:
    """Bootstrap interval of `statistic` of the column sums, resampling clusters.

    BCa (Efron 1987) with the normal quantile widened to `sqrt(n / (n - 1)) * t(n - 1)`
    (Hesterberg 2015): the plain bootstrap takes the spread of n clusters for that of the
    population and is too narrow for the few prompts that benchmarks have. The choice was made
    by coverage on synthetic rows (`docs/how-we-measure.md`).

    Parameters
    ----------
    clusters : float[n, columns]
        One line per prompt.
    statistic : Statistic
        Function of the sums.
    sampling : Sampling
        Seed, resamples, confidence.

    Returns
    -------
    Interval | None
        None for fewer than two clusters or when no resample defines the statistic.
    """
    n = len(clusters)
    if n < 2:
        return None
    rng = np.random.default_rng(sampling.seed)
    picks = rng.integers(0, n, size=(sampling.resamples, n))
    slots = picks + n * np.arange(sampling.resamples)[:, None]
    weights = np.bincount(slots.ravel(), minlength=slots.size).reshape(slots.shape)
    total = clusters.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = statistic(weights @ clusters)
        point = float(statistic(total))
        left_out = statistic(total - clusters)
    resampled = resampled[np.isfinite(resampled)]
    if not resampled.size or not math.isfinite(point):
        return None
    low, high = np.quantile(resampled, _bca_levels(resampled, point, left_out, sampling.confidence))
    return Interval(float(low), float(high))


def _bca_levels(resampled: Floats, point: float, left_out: Floats, confidence: float) -> Floats:
    """Quantiles of the resamples that bound the interval: float[2]."""
    n, resamples = len(left_out), len(resampled)
    tied = np.isclose(resampled, point, rtol=1e-12, atol=0.0)
    below = np.mean((resampled < point) & ~tied) + 0.5 * np.mean(tied)
    bias = stats.norm.ppf(np.clip(below, 1 / (resamples + 1), resamples / (resamples + 1)))
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum())
    skewed = math.isfinite(spread) and spread > 1e-24 * point**2
    acceleration = float((pull**3).sum()) / (6 * spread**1.5) if skewed else 0.0
    tail = (1 - confidence) / 2
    reach = math.sqrt(n / (n - 1)) * stats.t.ppf(1 - tail, n - 1)
    sides = np.array([-reach, reach])
    room = 1 - acceleration * (bias + sides)
    bent = bias + (bias + sides) / np.where(room > 0, room, 1.0)
    return np.asarray(
        stats.norm.cdf(np.where(room > 0, bent, np.copysign(np.inf, sides))), dtype=np.float64
    )


def jackknife_error(clusters: Floats, statistic: Statistic) -> float:
    """Standard error of `statistic` by leaving out one cluster at a time."""
    n = len(clusters)
    left_out = statistic(clusters.sum(axis=0) - clusters)
    return math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))


def minimum_detectable(
    log_error: float, clusters: int, confidence: float = 0.95, power: float = 0.8
) -> float:
    """Smallest relative difference from 1.0 that a run like this would find.

    Parameters
    ----------
    log_error : float
        Standard error of the logarithm of the ratio.
    clusters : int
        Prompts it rests on, at least 2.
    confidence, power : float
        Two-sided confidence of the interval, and the chance to find a difference of this size.

    Returns
    -------
    float
        0.03 means that a true ratio of 1.03 would be told from 1.00.
    """
    freedom = clusters - 1
    reach = stats.t.ppf((1 + confidence) / 2, freedom) + stats.t.ppf(power, freedom)
    return math.expm1(float(reach) * log_error)


def prompts_needed(prompts: int, half_width: float, wanted_half_width: float) -> int:
    """Prompts at which an interval of this half-width would shrink to the wanted one.

    Both half-widths in the same unit. Holds because the width falls with the square root of
    the number of prompts; more repeats only remove the part that is timing noise.
    """
    return max(2, math.ceil(prompts * (half_width / wanted_half_width) ** 2 - 1e-9))


@dataclass(frozen=True)
class Drift:
    """Time of the last warm repetition over that of the first, on the same prompts."""

    ratio: float
    low: float
    high: float

    @property
    def present(self) -> bool:
        """Whether the interval excludes 1.0."""
        return not self.low <= 1.0 <= self.high


def drift(first_s: Floats, last_s: Floats, sampling: Sampling) -> Drift | None:
    """Compare the seconds of two repetitions, prompt by prompt.

    Parameters
    ----------
    first_s, last_s : float[prompts]
        Seconds of each prompt in the first and in the last warm repetition.
    """
    seconds = np.column_stack([last_s, first_s])
    interval = cluster_interval(seconds, ratio, sampling)
    if interval is None:
        return None
    return Drift(float(ratio(seconds.sum(axis=0))), interval.low, interval.high)
