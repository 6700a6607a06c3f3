"""How sure we are: intervals over prompts, detectable differences, drift.

A prompt is the unit that is resampled, with all its turns and repeats: repeats of one prompt
say nothing about the next prompt. Every figure here is a function of sums over prompts, so a
resample is one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Maps sums over clusters `[..., columns]` to values `[...]`."""
Scale = Literal["log", "linear", "share"]
FEWEST_CLUSTERS = 5
"""With fewer prompts an interval says nothing: of two it may reach from 0.02 to 380."""
EVERYTHING = (-math.inf, math.inf)
GRADIENT_STEP = 1e-6
MOST_REACH = 2.0
"""An interval reaches at most so many times Student's quantile: a resample that drew hardly two
distinct clusters has next to no error of its own, and its pivot no bound."""


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


def cluster_interval(
    clusters: Floats,
    statistic: Statistic,
    sampling: Sampling,
    *,
    scale: Scale = "log",
    within: tuple[float, float] = EVERYTHING,
) -> Interval | None:
    """Bootstrap interval of `statistic` of the column sums, resampling clusters.

    A bootstrap-t (Efron 1981): each resample's deviation is divided by its own standard error,
    which follows the skewness that few prompts have and a normal quantile does not know.
    Resamples leave out one cluster at random and draw n of the others (the bootknife,
    Hesterberg 2004), without which n clusters pass for the population and the interval is too
    narrow by sqrt((n - 1) / n). The choice was made by coverage (`docs/how-we-measure.md`).

    Parameters
    ----------
    clusters : float[n, columns]
        One line per prompt.
    statistic : Statistic
        Function of the sums.
    sampling : Sampling
        Seed, resamples, confidence.
    scale : "log" | "linear" | "share"
        Where deviations are taken: the logarithm of a figure that is always positive, or the
        figure itself; a `share` is linear and its bounds are kept within 0 and 1.
    within : (float, float)
        The least and the greatest value that the figure can have; bounds are kept within.

    Returns
    -------
    Interval | None
        None for fewer than `FEWEST_CLUSTERS`, or when the figure is undefined for all of them or
        without one of them.
    """
    n = len(clusters)
    if n < FEWEST_CLUSTERS:
        return None

    def scaled(sums: Floats) -> Floats:
        return np.log(statistic(sums)) if scale == "log" else statistic(sums)

    weights = _bootknife(n, sampling.resamples, sampling.seed)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        point = float(scaled(clusters.sum(axis=0)))
        error = jackknife_error(clusters, scaled)
        away = scaled(weights @ clusters) - point
        pivots = np.where(away == 0.0, 0.0, away / _errors(weights, clusters, scaled))
    pivots = pivots[~np.isnan(pivots)]
    if not pivots.size or not math.isfinite(point) or not math.isfinite(error):
        return None
    tail = (1 - sampling.confidence) / 2
    most = MOST_REACH * float(stats.t.ppf(1 - tail, n - 1))
    below, above = np.clip(np.quantile(pivots, [tail, 1 - tail], method="lower"), -most, most)
    bounds = np.array([point - above * error, point - below * error])
    if scale == "log":
        bounds = np.exp(bounds)
    elif scale == "share":
        bounds = np.clip(bounds, 0.0, 1.0)
    low, high = np.clip(bounds, *within)
    return Interval(float(low), float(high))


def widest(intervals: Sequence[Interval | None]) -> Interval | None:
    """The least interval that holds all of them; None where one is missing."""
    known = [each for each in intervals if each is not None]
    if len(known) < len(intervals):
        return None
    return Interval(min(each.low for each in known), max(each.high for each in known))


@lru_cache(maxsize=4)
def _bootknife(n: int, resamples: int, seed: int) -> Floats:
    """How often each resample drew each cluster: float[resamples, n]."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, n - 1, size=(resamples, n))
    picks += picks >= rng.integers(0, n, size=(resamples, 1))
    slots = picks + n * np.arange(resamples)[:, None]
    return np.bincount(slots.ravel(), minlength=slots.size).reshape(slots.shape).astype(np.float64)


def _errors(weights: Floats, clusters: Floats, statistic: Statistic) -> Floats:
    """Linearised standard error of `statistic` in each resample: float[resamples]."""
    n = len(clusters)
    sums = weights @ clusters
    steps = GRADIENT_STEP * np.maximum(np.abs(clusters).sum(axis=0), np.finfo(np.float64).tiny)
    slopes = np.stack(
        [
            (statistic(sums + step) - statistic(sums - step)) / (2 * steps[column])
            for column, step in enumerate(np.diag(steps))
        ],
        axis=-1,
    )
    influence = slopes @ clusters.T
    mean = (weights * influence).sum(axis=1, keepdims=True) / n
    spread = (weights * (influence - mean) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(n / (n - 1) * spread), dtype=np.float64)


def share_interval(share: float, clusters: int, confidence: float) -> Interval:
    """Wilson's score interval of a share, with one observation for each of `clusters` prompts.

    For shares that are often exactly 0 or 1, of which a bootstrap would be certain.
    """
    z = float(stats.norm.ppf((1 + confidence) / 2))
    middle = (share + z**2 / (2 * clusters)) / (1 + z**2 / clusters)
    half = math.sqrt(share * (1 - share) / clusters + (z / (2 * clusters)) ** 2)
    reach = z * half / (1 + z**2 / clusters)
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


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


def prompts_needed(prompts: int, half_width: float, wanted_half_width: float) -> int | None:
    """Prompts at which an interval of this half-width would shrink to the wanted one.

    Both half-widths over the figure. Holds because the width falls with the square root of
    the number of prompts; more repeats only remove the part that is timing noise. None where
    the interval is wider than the figure itself: such prompts do not say how much prompts vary.
    """
    if half_width > 1.0:
        return None
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
