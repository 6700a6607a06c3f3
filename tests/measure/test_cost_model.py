"""The cost model against simulation and hand-made numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.measure.cost.model import (
    Costs,
    advice,
    best_length,
    gains,
    iid_tau,
    measured_tau,
    oracle_bound,
    residual,
)

COSTS = Costs(step_s=0.010, verify_s=0.012, draft_s=0.004, other_s=0.001, tau=3.0)
seconds = st.floats(1e-4, 1e-1)
costs = st.builds(Costs, seconds, seconds, seconds, seconds, st.floats(1.0, 8.0))


def test_predicted_speedup_by_hand():
    assert COSTS.speedup == pytest.approx(3.0 * 10 / 17)


@given(costs, costs, st.floats(0.2, 5.0))
def test_residual_parts_add_up_and_point_the_right_way(predicted, measured, speedup):
    parts = residual(predicted, measured, speedup)
    assert parts["total"] == pytest.approx(math.log(speedup / predicted.speedup), abs=1e-6)
    assert (parts["draft"] < 0) == (measured.draft_s > predicted.draft_s)
    assert (parts["tau"] > 0) == (measured.tau > predicted.tau)


def test_residual_blames_the_term_that_changed():
    slower = replace(COSTS, verify_s=0.015)
    parts = residual(COSTS, slower, slower.speedup)
    assert parts["verify"] == pytest.approx(math.log(17 / 20))
    assert [parts[name] for name in ("tau", "step", "draft", "other")] == [0, 0, 0, 0]
    assert parts["unexplained"] == pytest.approx(0)


def test_iid_tau_matches_leviathan_and_a_simulation():
    assert iid_tau(0.8, 4) == pytest.approx((1 - 0.8**5) / (1 - 0.8))
    assert iid_tau(1.0, 4) == 5.0
    assert iid_tau(0.0, 4) == 1.0
    accepted = np.random.default_rng(0).random((100_000, 4)) < 0.8
    simulated = 1 + accepted.cumprod(axis=1).sum(axis=1).mean()
    assert iid_tau(0.8, 4) == pytest.approx(simulated, abs=0.02)


def test_tau_of_shorter_chains_from_marginals():
    assert measured_tau([0.8, 0.6, 0.5, 0.4], 2) == pytest.approx(2.4)
    assert measured_tau([0.8, 0.6, 0.5, 0.4], 4) == pytest.approx(3.3)


def test_best_length_tops_its_curve():
    found = best_length(
        lambda k: iid_tau(0.8, k), lambda k: 0.001 * k + 0.011 + 0.0002 * k, 0.010, range(1, 13)
    )
    assert found.speedup == max(found.curve.values()) == found.curve[found.draft_len]
    assert 1 < found.draft_len < 12
    dear = best_length(lambda k: iid_tau(0.3, k), lambda k: 0.01 + 0.005 * k, 0.01, range(1, 9))
    assert dear.draft_len == 1


def linear_round_s(draft_len: int) -> float:
    return 0.011 + 0.001 * draft_len


def test_oracle_by_hand():
    # rounds of 4 + 1, 0 + 1 and 2 + 1 tokens, each drafted as far as it was accepted
    bound = oracle_bound([4, 0, 2], linear_round_s, 0.010)
    assert bound == pytest.approx(9 * 0.010 / (0.015 + 0.011 + 0.013))


@given(st.lists(st.integers(0, 7), min_size=1, max_size=30), st.integers(1, 7))
def test_oracle_is_at_or_above_every_fixed_length_on_the_recorded_path(lengths, draft_len):
    """A shorter chain cuts each recorded run of accepted tokens into several rounds."""
    rounds = emitted = 0
    for accepted in lengths:
        left = accepted + 1
        while left > 0:
            rounds += 1
            left -= min(left, draft_len + 1)
        emitted += accepted + 1
    fixed = emitted * 0.010 / (rounds * linear_round_s(draft_len))
    assert oracle_bound(lengths, linear_round_s, 0.010) >= fixed * (1 - 1e-12)


def test_oracle_splits_a_run_where_long_rounds_are_dear():
    def round_s(draft_len: int) -> float:
        return 0.011 if draft_len <= 1 else 1.0

    assert oracle_bound([3], round_s, 0.010) == pytest.approx(4 * 0.010 / 0.022)


def test_advice_names_the_dearest_loss():
    assert "drafting" in advice(replace(COSTS, draft_s=0.03, tau=4.8), max_tau=5)
    assert "verification" in advice(replace(COSTS, verify_s=0.08, tau=4.8), max_tau=5)
    assert "other work" in advice(replace(COSTS, other_s=0.05, tau=4.8), max_tau=5)
    assert "acceptance" in advice(replace(COSTS, tau=1.5), max_tau=5)
    assert gains(COSTS, 5)["drafting"] == pytest.approx(3.0 * 10 / 15)
    assert f"{COSTS.speedup:.2f}x" in advice(COSTS, max_tau=5)
