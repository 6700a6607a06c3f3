"""Each round of either arm carries its seconds: known where every second of the work is."""

from __future__ import annotations

import time

import pytest
from timed_world import (
    COMMIT_S,
    EXTEND_S,
    FIRST_S,
    PER_TOKEN_S,
    PREFILL_S,
    STEP_S,
    Clock,
    TimedDrafter,
    TimedTarget,
)

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import DrafterConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.records.generation import Generation, Request, Round
from eagle_bench.records.rows import Trial, round_rows

DRAFT_LEN = 3
LENGTH = 20


def test_rounds_of_both_arms_carry_their_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    config = RunConfig(
        model=ModelConfig(name="timed"),
        drafter=DrafterConfig(name="timed"),
        dataset=DatasetConfig(name="timed"),
        decoding=ChainConfig(draft_len=DRAFT_LEN),
        tracker=TrackerConfig(name="none"),
    )
    target = TimedTarget(clock)
    step_s = STEP_S + PER_TOKEN_S
    round_s = FIRST_S + (DRAFT_LEN - 1) * EXTEND_S + step_s + DRAFT_LEN * PER_TOKEN_S + COMMIT_S
    for arm, opening_s, each_s in (
        (build_baseline(config, target), 0.0, step_s),
        (build_speculative(config, target, TimedDrafter(clock)), PREFILL_S, round_s),
    ):
        [generation] = arm.generate([Request("p", [1, 2, 3, 4, 5], LENGTH)])
        rows = round_rows(generation, Trial("p", "chat", 0, arm.name, 0))
        seconds = [row.seconds for row in rows]
        assert seconds == pytest.approx([opening_s + each_s] + [each_s] * (len(rows) - 1))
        assert len(rows) == generation.target_calls - 1
        assert generation.wall_s - generation.prefill_s == pytest.approx(
            opening_s + len(rows) * each_s
        )


def test_a_first_round_that_is_the_prefill_began_with_the_generation() -> None:
    generation = Generation(Request("p", [1], 9), started_s=10.0, prefill_s=2.0)
    generation.rounds = [Round(0, 1, 3, 3, 2, ended_s=12.0), Round(3, 4, 3, 3, 1, ended_s=13.5)]
    assert generation.round_seconds == [2.0, 1.5]
    assert Generation(Request("p", [1], 1), started_s=10.0, prefill_s=2.0).round_seconds == []
