"""Intervals: coverage of a known truth, against scipy, and the figures built on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eagle_bench.figures.statistics import (
    Sampling,
    cluster_interval,
    drift,
    exp_of_mean,
    jackknife_error,
    minimum_detectable,
    prompts_needed,
    ratio,
    ratio_of_ratios,
    share_interval,
)

SAMPLING = Sampling(seed=0, resamples=1000, confidence=0.95)


def synthetic_run(rng: np.random.Generator, prompts: int, *, eos: bool = False) -> np.ndarray:
    """Tokens and seconds of both arms per prompt: prompts differ in acceptance, clocks jitter."""
    tokens = rng.integers(60, 200, prompts).astype(float) if eos else np.full(prompts, 128.0)
    tau = 1 + 4 * rng.beta(3, 2, prompts)
    baseline_s = tokens * 0.01 * rng.lognormal(0, 0.03, prompts)
    speculative_s = 0.02 + tokens / tau * 0.013 * rng.lognormal(0, 0.05, prompts)
    return np.column_stack([tokens, speculative_s, tokens, baseline_s])


@pytest.mark.parametrize("eos", [False, True])
@pytest.mark.parametrize(("prompts", "runs"), [(8, 1200), (12, 1000), (30, 800), (80, 600)])
def test_nominal_95_percent_covers_the_truth_93_to_97_percent(prompts, runs, eos):
    """The percentile bootstrap covers 84% with 8 prompts."""
    rng = np.random.default_rng(prompts)
    truth = float(ratio_of_ratios(synthetic_run(rng, 1_000_000, eos=eos).sum(axis=0)))
    covered = 0
    for run in range(runs):
        interval = cluster_interval(
            synthetic_run(rng, prompts, eos=eos), ratio_of_ratios, Sampling(run % 4, 500, 0.95)
        )
        covered += interval.low <= truth <= interval.high
    assert 0.93 <= covered / runs <= 0.97


def test_a_few_skewed_prompts_have_no_absurd_interval():
    """A resample that drew one prompt only has no error of its own."""
    rng = np.random.default_rng(3)
    for run in range(200):
        data = synthetic_run(rng, 5, eos=True)
        interval = cluster_interval(data, ratio_of_ratios, Sampling(run, 400, 0.95))
        error = jackknife_error(data, lambda sums: np.log(ratio_of_ratios(sums)))
        assert math.log(interval.high / interval.low) <= 4.0001 * stats.t.ppf(0.975, 4) * error


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_agrees_with_a_bootstrap_t_written_out(scale):
    """The mean of skewed values, resample by resample, with the textbook's standard error."""
    n, tail = 60, 0.05
    values = np.random.default_rng(6).lognormal(0, 0.8, n)
    transform = np.log if scale == "log" else np.asarray
    slope = (lambda mean: 1 / mean) if scale == "log" else (lambda mean: 1.0)
    rng = np.random.default_rng(2)
    pivots = []
    for _ in range(6000):
        drawn = rng.choice(np.delete(values, rng.integers(n)), n)
        error = drawn.std(ddof=1) / math.sqrt(n) * slope(drawn.mean())
        pivots.append((transform(drawn.mean()) - transform(values.mean())) / error)
    below, above = np.quantile(pivots, [tail, 1 - tail])
    data = np.column_stack([values, np.ones(n)])
    error = jackknife_error(data, lambda sums: transform(ratio(sums)))
    expected = [transform(values.mean()) - pivot * error for pivot in (above, below)]
    if scale == "log":
        expected = np.exp(expected)
    ours = cluster_interval(data, ratio, Sampling(0, 20_000, 0.9), scale=scale)
    assert [ours.low, ours.high] == pytest.approx(expected, abs=0.05 * (ours.high - ours.low))


def test_near_students_interval_for_many_normal_values():
    values = np.random.default_rng(5).normal(10, 1, 300)
    data = np.column_stack([values, np.ones(300)])
    ours = cluster_interval(data, ratio, Sampling(0, 10_000, 0.9), scale="linear")
    students = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    width = students.high - students.low
    assert ours.low == pytest.approx(students.low, abs=0.05 * width)
    assert ours.high == pytest.approx(students.high, abs=0.05 * width)


def test_a_share_stays_between_0_and_1():
    hits = np.array([0, 0, 0, 0, 0, 0, 1, 6])
    rare = np.column_stack([hits, np.full(8, 40)])
    often = np.column_stack([40 - hits, np.full(8, 40)])
    low = cluster_interval(rare, ratio, SAMPLING, scale="share")
    high = cluster_interval(often, ratio, SAMPLING, scale="share")
    assert 0 == low.low < 7 / 320 < low.high < 1
    assert 0 < high.low < 313 / 320 < high.high == 1


def test_bounds_stay_within_what_is_possible():
    data = np.column_stack([[5.0, 5.0, 5.0, 5.0, 1.0], np.ones(5)])
    free = cluster_interval(data, ratio, SAMPLING)
    kept = cluster_interval(data, ratio, SAMPLING, within=(1.0, 5.0))
    assert free.high > 5
    assert (kept.low, kept.high) == (max(free.low, 1.0), 5.0)


def test_wilsons_interval_is_the_textbook_one_and_doubts_a_share_of_1():
    found = share_interval(17 / 20, 20, 0.95)
    known = stats.binomtest(17, 20).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    assert share_interval(1.0, 8, 0.95).low == pytest.approx(0.676, abs=0.001)
    assert share_interval(1.0, 8, 0.95).high == 1.0


def test_seed_repeats_and_more_confidence_is_wider():
    data = synthetic_run(np.random.default_rng(0), 20)
    once = cluster_interval(data, ratio_of_ratios, SAMPLING)
    assert once == cluster_interval(data, ratio_of_ratios, SAMPLING)
    wide = cluster_interval(data, ratio_of_ratios, Sampling(0, 1000, 0.99))
    assert wide.low < once.low
    assert wide.high > once.high


def test_constant_figure_has_a_point_interval_and_four_clusters_none():
    data = np.column_stack([np.full(9, 3.0), np.full(9, 2.0)])
    assert cluster_interval(data, ratio, SAMPLING).low == pytest.approx(1.5)
    assert cluster_interval(data, ratio, SAMPLING).high == pytest.approx(1.5)
    assert cluster_interval(data[:4], ratio, SAMPLING) is None


def test_clusters_where_the_figure_is_undefined():
    assert cluster_interval(np.zeros((5, 2)), ratio, SAMPLING) is None
    one_defined = np.array([[1.0, 2.0], *[[0.0, 0.0]] * 4])
    assert cluster_interval(one_defined, ratio, SAMPLING) is None


def test_jackknife_error_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(3).normal(5, 2, 40)
    columns = np.column_stack([values, np.ones(40)])
    assert jackknife_error(columns, ratio) == pytest.approx(values.std(ddof=1) / math.sqrt(40))


def test_minimum_detectable_difference_is_found_with_the_stated_power():
    """Simulated t-tests on log ratios with a true effect of exactly that size."""
    rng = np.random.default_rng(8)
    n, spread = 40, 0.1
    effect = math.log1p(minimum_detectable(spread / math.sqrt(n), n, 0.95, 0.8))
    samples = rng.normal(effect, spread, (4000, n))
    found = stats.ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_prompts_needed_quarter_the_width():
    assert prompts_needed(20, half_width=0.2, wanted_half_width=0.05) == 320
    assert prompts_needed(80, half_width=0.05, wanted_half_width=0.05) == 80
    assert prompts_needed(80, half_width=0.01, wanted_half_width=0.5) == 2
    assert prompts_needed(2, half_width=1.01, wanted_half_width=0.03) is None


def test_drift_is_seen_through_noise_and_not_invented():
    rng = np.random.default_rng(4)
    first = rng.uniform(1, 3, 30)
    slower = drift(first, first * 1.1 * rng.lognormal(0, 0.02, 30), SAMPLING)
    steady = drift(first, first * rng.lognormal(0, 0.02, 30), SAMPLING)
    assert slower.present
    assert slower.ratio == pytest.approx(1.1, abs=0.02)
    assert not steady.present


def test_geometric_mean_from_logs():
    assert exp_of_mean(np.array([math.log(2) + math.log(8), 2])) == pytest.approx(4.0)
