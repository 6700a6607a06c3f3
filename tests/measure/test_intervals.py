"""Intervals: coverage of a known truth, against scipy, and the figures built on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eagle_bench.measure.statistics import (
    Sampling,
    cluster_interval,
    drift,
    exp_of_mean,
    jackknife_error,
    minimum_detectable,
    prompts_needed,
    ratio,
    ratio_of_ratios,
)

SAMPLING = Sampling(seed=0, resamples=1000, confidence=0.95)


def synthetic_run(rng: np.random.Generator, prompts: int, *, eos: bool = False) -> np.ndarray:
    """Tokens and seconds of both arms per prompt: prompts differ in acceptance, clocks jitter."""
    tokens = rng.integers(60, 200, prompts).astype(float) if eos else np.full(prompts, 128.0)
    tau = 1 + 4 * rng.beta(3, 2, prompts)
    baseline_s = tokens * 0.01 * rng.lognormal(0, 0.03, prompts)
    speculative_s = 0.02 + tokens / tau * 0.013 * rng.lognormal(0, 0.05, prompts)
    return np.column_stack([tokens, speculative_s, tokens, baseline_s])


@pytest.mark.parametrize(("prompts", "eos"), [(30, False), (50, True), (80, False)])
def test_nominal_95_percent_covers_the_truth_93_to_97_percent(prompts, eos):
    rng = np.random.default_rng(prompts)
    truth = float(ratio_of_ratios(synthetic_run(rng, 1_000_000, eos=eos).sum(axis=0)))
    runs = 1200
    covered = 0
    for run in range(runs):
        interval = cluster_interval(
            synthetic_run(rng, prompts, eos=eos), ratio_of_ratios, Sampling(run, 600, 0.95)
        )
        covered += interval.low <= truth <= interval.high
    assert 0.93 <= covered / runs <= 0.97


def test_few_prompts_are_not_overconfident():
    """The plain percentile bootstrap covers 83% here."""
    rng = np.random.default_rng(1)
    truth = float(ratio_of_ratios(synthetic_run(rng, 1_000_000).sum(axis=0)))
    covered = [
        interval.low <= truth <= interval.high
        for run in range(500)
        if (
            interval := cluster_interval(
                synthetic_run(rng, 8), ratio_of_ratios, Sampling(run, 400, 0.95)
            )
        )
    ]
    assert np.mean(covered) > 0.88


def test_agrees_with_scipy_bca_for_many_clusters():
    rng = np.random.default_rng(5)
    data = np.column_stack([rng.gamma(2, 1, 400), rng.gamma(3, 1, 400)])
    ours = cluster_interval(data, ratio, Sampling(0, 20_000, 0.9))
    scipys = stats.bootstrap(
        (data[:, 0], data[:, 1]),
        lambda x, y, axis: x.sum(axis=axis) / y.sum(axis=axis),
        paired=True,
        confidence_level=0.9,
        n_resamples=5000,
        rng=np.random.default_rng(2),
        method="BCa",
    ).confidence_interval
    width = scipys.high - scipys.low
    assert ours.low == pytest.approx(scipys.low, abs=0.06 * width)
    assert ours.high == pytest.approx(scipys.high, abs=0.06 * width)


def test_agrees_with_scipy_bca_for_a_skewed_figure():
    values = np.random.default_rng(6).lognormal(0, 1.2, 300)
    data = np.column_stack([values, np.ones(300)])
    ours = cluster_interval(data, ratio, Sampling(0, 20_000, 0.9))
    scipys = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=0.9,
        n_resamples=10_000,
        rng=np.random.default_rng(2),
        method="BCa",
    ).confidence_interval
    width = scipys.high - scipys.low
    assert ours.low == pytest.approx(scipys.low, abs=0.04 * width)
    assert ours.high == pytest.approx(scipys.high, abs=0.04 * width)


def test_seed_repeats_and_more_confidence_is_wider():
    data = synthetic_run(np.random.default_rng(0), 20)
    once = cluster_interval(data, ratio_of_ratios, SAMPLING)
    assert once == cluster_interval(data, ratio_of_ratios, SAMPLING)
    wide = cluster_interval(data, ratio_of_ratios, Sampling(0, 1000, 0.99))
    assert wide.low < once.low
    assert wide.high > once.high


def test_constant_figure_has_a_point_interval_and_one_cluster_none():
    data = np.column_stack([np.full(9, 3.0), np.full(9, 2.0)])
    assert cluster_interval(data, ratio, SAMPLING).low == pytest.approx(1.5)
    assert cluster_interval(data, ratio, SAMPLING).high == pytest.approx(1.5)
    assert cluster_interval(data[:1], ratio, SAMPLING) is None


def test_clusters_where_the_figure_is_undefined():
    assert cluster_interval(np.zeros((5, 2)), ratio, SAMPLING) is None
    one_defined = np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    interval = cluster_interval(one_defined, ratio, SAMPLING)
    assert (interval.low, interval.high) == (0.5, 0.5)


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
