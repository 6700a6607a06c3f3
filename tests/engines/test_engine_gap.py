"""Counts under each engine's stopping rule, and the gap between two sides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eagle_bench.figures.counts import clipped, counted
from eagle_bench.figures.engine_gap import engine_gap
from eagle_bench.figures.statistics import Sampling
from eagle_bench.records.counts import Counts

REPLIES = Path(__file__).parent / "replies"
ACCEPTED: list[list[int]] = json.loads((REPLIES / "vllm_0.32.0_accepted.json").read_text())
LLAMA_CPP = [
    (16, 62, 47, 0), (15, 58, 48, 0), (15, 58, 48, 0), (20, 77, 42, 1),
    (22, 88, 40, 1), (18, 66, 45, 0), (19, 76, 43, 1), (13, 52, 49, 1),
]  # fmt: skip
"""Rounds, drafted, accepted and plain calls that llama.cpp counted for the same prompts."""
SAMPLING = Sampling(seed=0, resamples=500, confidence=0.95)


@pytest.mark.parametrize(("accepted", "expected"), zip(ACCEPTED, LLAMA_CPP, strict=True))
def test_clipped_is_what_llama_cpp_counted(
    accepted: list[int], expected: tuple[int, int, int, int]
) -> None:
    found = clipped(accepted, 4, 64)
    assert (found.rounds, found.drafted, found.accepted, found.plain) == expected
    assert found.emitted() == 64
    assert sum(found.per_position) == found.accepted


def test_clipped_per_position_is_llama_cpps_own_counter() -> None:
    assert clipped(ACCEPTED[0], 4, 64).per_position == (14, 13, 10, 10)


def test_counted_is_vllms_own_counter() -> None:
    found = counted(ACCEPTED[0], 4)
    assert found == Counts(16, 64, 49, 0, (14, 13, 11, 11))
    assert found.tau == 4.0625
    assert found.target_calls == 17


def test_drafts_accepted_behind_the_end_are_drafted_only() -> None:
    found = clipped([4, 2, 4], 4, 100, behind_eos=3)
    assert found == Counts(3, 12, 7, 0, (3, 2, 1, 1))
    assert found.emitted() == 11


def test_an_end_token_that_is_the_last_draft_counts_as_accepted() -> None:
    found = clipped([4, 4, 4, 4], 4, 100, behind_eos=1)
    assert found == Counts(4, 16, 16, 0, (4, 4, 4, 4)), "as llama.cpp counted on prompt 32"
    assert clipped([4, 3], 4, 100, behind_eos=1).accepted == 6
    assert clipped([4, 4], 4, 9, behind_eos=2).accepted == 4 + 2, "the last round drafts 2"


def test_one_token_asked_is_the_prefill_alone() -> None:
    assert clipped([3], 4, 1) == Counts(0, 0, 0, 0, (0, 0, 0, 0))
    assert counted([], 4).tau is None


def test_equal_counts_have_no_gap() -> None:
    counts = [clipped(accepted, 4, 64) for accepted in ACCEPTED]
    gap = engine_gap(counts, counts, SAMPLING)
    assert (gap.pooled, gap.low, gap.high) == (1.0, 1.0, 1.0)
    assert (gap.prompts, gap.equal_prompts, gap.exact) == (8, 8, True)


def test_a_gap_is_the_ratio_of_pooled_taus() -> None:
    ours = [counted(accepted, 4) for accepted in ACCEPTED]
    theirs = [replace(each, accepted=each.accepted // 2) for each in ours]
    gap = engine_gap(theirs, ours, SAMPLING)
    rounds, accepted = sum(c.rounds for c in ours), sum(c.accepted for c in ours)
    expected = (rounds + sum(c.accepted for c in theirs)) / (rounds + accepted)
    assert gap.pooled == pytest.approx(expected)
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low < expected < gap.high < 1.0
    assert (gap.equal_prompts, gap.exact) == (0, False)


def test_one_prompt_has_a_gap_without_interval_and_no_round_has_none() -> None:
    one, none = [counted([4, 2], 4)], [counted([], 4)]
    assert engine_gap(one, one, SAMPLING).pooled == 1.0
    assert engine_gap(one, one, SAMPLING).low is None
    assert engine_gap(none, one, SAMPLING).pooled is None
