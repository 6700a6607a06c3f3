"""Rows cut to a shorter gen_len against a simulated shorter run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.figures.derive import shorten
from eagle_bench.records.rows import RoundRow


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.integers(1, 40),
    st.integers(0, 3),
)
def test_equals_a_run_that_stops_earlier(chain, lengths, gen_len, cut):
    long_row = chain("a", lengths, overshoot=min(cut, lengths[-1]))
    (found,) = shorten([long_row], gen_len)
    shown, emitted = [], 1
    for accepted in lengths:
        if emitted >= min(gen_len, long_row.new_tokens):
            break
        shown.append(accepted)
        emitted += accepted + 1
    expected = chain("a", shown, overshoot=emitted - min(gen_len, long_row.new_tokens))
    for name in (
        "new_tokens",
        "token_ids",
        "rounds",
        "accept_lengths",
        "accepted",
        "overshoot",
        "target_calls",
        "draft_calls",
        "drafted",
        "drafted_depth",
    ):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.wall_s == pytest.approx(expected.wall_s)
    assert found.decode_s == pytest.approx(expected.decode_s)
    assert found.gen_len == gen_len


def test_baseline_is_cut_by_tokens(baseline):
    (found,) = shorten([baseline("a", 100, energy_j=10.0)], 25)
    expected = baseline("a", 25)
    assert found.target_calls == 25
    assert found.token_ids == expected.token_ids
    assert found.wall_s == pytest.approx(expected.wall_s)
    assert found.energy_j == pytest.approx(2.5)


def test_two_target_calls_per_round_and_no_prefill_token(chain):
    row = chain("a", [4, 2, 1], target_calls=6, new_tokens=10, token_ids=list(range(10)))
    (found,) = shorten([row], 6)
    assert (found.rounds, found.overshoot, found.target_calls) == (2, 2, 4)
    assert found.new_tokens == 6


def test_recorded_phases_weight_the_seconds(chain):
    row = chain("a", [0, 0, 0], round_s=0.02)
    rounds = [
        RoundRow("a", 0, "chain", 0, index, 1 + index, 11, depth, 2 * depth, 0, {"draft": s})
        for index, (depth, s) in enumerate([(4, 1.0), (3, 2.0), (2, 3.0)])
    ]
    (found,) = shorten([row], 3, rounds)
    assert found.decode_s == pytest.approx(0.06 * 3 / 6)
    assert (found.drafted, found.drafted_depth) == (14, 7)


def test_eos_before_the_cut_stays_and_later_turns_are_left_out(chain):
    rows = [chain("a", [4], stop_reason="eos"), chain("a", [4], turn=1)]
    (found,) = shorten(rows, 50)
    assert (found.stop_reason, found.new_tokens, found.gen_len) == ("eos", 6, 50)


def test_cutting_in_two_steps_is_cutting_once(chain):
    row = chain("a", [4, 2, 0, 3, 1])
    assert shorten(shorten([row], 10), 4)[0].accept_lengths == shorten([row], 4)[0].accept_lengths


def test_a_shorter_generation_lost_its_share_to_others(baseline):
    long = baseline("a", 40, stalled_s=0.3, disturbed=True)
    [short] = shorten([long], 10)
    assert short.lost_s / short.wall_s == pytest.approx(long.lost_s / long.wall_s)
