"""The distribution test: chi-squared by hand, its false alarms, and how faults are seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eagle_bench.figures.goodness import combined, fit, freedom

FAIR = {(0,): 0.5, (1,): 0.3, (2,): 0.2}
SKEWED = {(n,): share for n, share in enumerate(0.6**n * 0.4 / (1 - 0.6**12) for n in range(12))}


def draws_of(exact: dict[tuple[int, ...], float], draws: int, seed: int) -> dict:
    counts = np.random.default_rng(seed).multinomial(draws, list(exact.values()))
    return dict(zip(exact, counts.tolist(), strict=True))


def test_chi_squared_and_variation_by_hand() -> None:
    found = fit({(0,): 40, (1,): 35, (2,): 25}, FAIR)
    assert (found.draws, found.outputs, found.cells, found.freedom) == (100, 3, 3, 2)
    assert found.chi_squared == pytest.approx(10**2 / 50 + 5**2 / 30 + 5**2 / 20)
    assert found.p_value == pytest.approx(math.exp(-found.chi_squared / 2))
    assert found.variation == pytest.approx((0.10 + 0.05 + 0.05) / 2)


def test_rare_outputs_share_a_cell_and_nothing_is_lost() -> None:
    exact = {(0,): 0.9, (1,): 0.06, (2,): 0.03, (3,): 0.01}
    found = fit({(0,): 90, (1,): 5, (2,): 4, (3,): 1}, exact)
    assert (found.outputs, found.cells, found.freedom) == (4, 2, 1)
    assert found.chi_squared == pytest.approx(0.0)
    assert freedom(100, exact) == 1
    assert freedom(20, exact) == 0


def test_an_output_without_probability_is_a_contradiction() -> None:
    found = fit({(0,): 50, (1,): 30, (2,): 19, (7,): 1}, FAIR)
    assert (found.impossible, found.p_value) == (1, 0.0)
    assert found.variation == pytest.approx((0.01 + 0.01) / 2)
    assert combined([found, fit({(0,): 50, (1,): 30, (2,): 20}, FAIR)]) == 0.0


def test_expected_variation_is_what_draws_show() -> None:
    shown = [fit(draws_of(SKEWED, 200, seed), SKEWED).variation for seed in range(400)]
    expected = fit(draws_of(SKEWED, 200, 0), SKEWED).variation_expected
    assert expected == pytest.approx(np.mean(shown), abs=4 * np.std(shown) / 20)


def test_false_alarms_come_as_often_as_the_level_says() -> None:
    p_values = [
        combined([fit(draws_of(SKEWED, 200, 3 * run + part), SKEWED) for part in range(3)])
        for run in range(500)
    ]
    alarms = np.mean(np.array(p_values) < 0.05)
    assert 0.02 < alarms < 0.085


@pytest.mark.parametrize("biased", ["one prompt", "all prompts a little"])
def test_a_bias_of_one_prompt_or_of_all_is_found(biased: str) -> None:
    other = dict(zip(FAIR, (0.38, 0.36, 0.26), strict=True))
    slight = dict(zip(FAIR, (0.45, 0.33, 0.22), strict=True))
    truths = [other, FAIR, FAIR, FAIR] if biased == "one prompt" else [slight] * 4
    fits = [fit(draws_of(truth, 800, seed), FAIR) for seed, truth in enumerate(truths)]
    assert combined(fits) < 1e-3


def test_prompts_that_leave_nothing_to_chance_do_not_dilute() -> None:
    sure = fit({(0,): 100}, {(0,): 0.999, (1,): 0.001})
    assert (sure.freedom, sure.p_value) == (0, 1.0)
    other = fit({(0,): 40, (1,): 35, (2,): 25}, FAIR)
    assert combined([other, sure, sure]) == pytest.approx(other.p_value)
    assert combined([sure]) == 1.0
