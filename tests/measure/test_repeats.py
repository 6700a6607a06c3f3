"""`repeats=auto`: when it goes on, when it stops and what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import DrafterConfig
from eagle_bench.config.measure import MeasureConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import AUTO
from eagle_bench.figures.repeats import Decision, decide, noise_share
from eagle_bench.records.rows import GenerationRow

Rows = Callable[..., list[GenerationRow]]


def config(repeats: int | str = AUTO, **measure: Any) -> RunConfig:
    return RunConfig(
        model=ModelConfig("embedded"),
        drafter=DrafterConfig("embedded"),
        dataset=DatasetConfig("embedded"),
        decoding=ChainConfig("chain"),
        tracker=TrackerConfig("none"),
        measure=MeasureConfig(**measure),
        repeats=repeats,
    )


@pytest.fixture
def run(baseline: Any, chain: Any) -> Rows:
    """Rows whose prompts and whose timings differ by a chosen amount (of the logarithm)."""

    def rows(
        repeats: int, *, prompts: int = 12, between: float = 0.0, noise: float = 0.0
    ) -> list[GenerationRow]:
        rng = np.random.default_rng(0)
        own = np.exp(between * rng.standard_normal(prompts))
        found = []
        for repeat in range(repeats):
            jitter = np.exp(noise * rng.standard_normal(prompts))
            for index in range(prompts):
                spec = chain(str(index), [4, 3, 4, 2], repeat=repeat)
                spec.wall_s *= float(own[index] * jitter[index])
                found += [baseline(str(index), spec.new_tokens, repeat=repeat), spec]
        return found

    return rows


def told(decision: Decision, go_on: bool, *words: str) -> None:
    assert decision.go_on is go_on, decision.reason
    assert all(word in decision.reason for word in words), decision.reason


def test_a_fixed_number_is_counted(run: Rows) -> None:
    told(decide(run(1), config(3)), True, "1 of 3")
    told(decide(run(3), config(3)), False, "3 of 3")


def test_two_repeats_at_least(run: Rows) -> None:
    told(decide(run(1), config(target_ci=0.9)), True, "drift")


def test_a_narrow_interval_is_enough(run: Rows) -> None:
    decision = decide(run(2, noise=0.01), config(target_ci=0.03))
    told(decision, False, "within the wanted ±3.0%")
    assert decision.half_width is not None
    assert decision.half_width < 0.03


def test_noise_is_repeated_away(run: Rows) -> None:
    told(decide(run(2, noise=0.1), config(target_ci=0.03)), True, "wider than")
    told(decide(run(12, noise=0.1), config(target_ci=0.03)), False, "within")


def test_maximum_and_budget_end_it(run: Rows) -> None:
    told(decide(run(4, noise=0.3), config(max_repeats=4)), False, "measure.max_repeats=4")
    rows = run(4, noise=0.3)
    spent_s = sum(row.wall_s for row in rows)
    tight = config(budget_s=1.2 * spent_s, target_ci=0.05)
    told(decide(rows, tight), False, "would exceed measure.budget_s")
    told(decide(rows, config(budget_s=1.3 * spent_s, target_ci=0.06)), True)


def test_prompts_that_differ_need_more_prompts(run: Rows) -> None:
    decision = decide(run(2, between=0.2, noise=0.01), config(target_ci=0.03))
    told(decision, False, "prompts differ", "prompts would give")
    assert decision.prompts_needed is not None
    more = run(2, prompts=decision.prompts_needed, between=0.2, noise=0.01)
    enough = decide(more, config(target_ci=0.035))
    told(enough, False, "within")


def test_one_prompt_has_no_interval(run: Rows) -> None:
    told(decide(run(2, prompts=1, noise=0.1), config()), False, "fewer than 5 prompts")


def test_a_pair_whose_outputs_differ_in_length_does_not_count(run: Rows) -> None:
    rows = run(3, noise=0.1)
    kept = [row for row in rows if row.prompt_id != "0"]
    rows[1].new_tokens -= 1
    assert decide(rows, config()).half_width == decide(kept, config()).half_width


@pytest.mark.parametrize(("between", "noise", "share"), [(0.0, 0.1, 1.0), (0.2, 0.0, 0.0)])
def test_noise_share_of_pure_cases(between: float, noise: float, share: float) -> None:
    assert noise_share(sums(between, noise, repeats=4)) == pytest.approx(share, abs=0.06)


def test_noise_share_of_a_mixture_by_its_definition() -> None:
    """With 4 repeats, variance 0.01 between prompts and 0.04 / 4 within them: half."""
    assert noise_share(sums(0.1, 0.2, repeats=4)) == pytest.approx(0.5, abs=0.05)


def sums(between: float, noise: float, repeats: int, prompts: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(1)
    seconds = np.exp(
        between * rng.standard_normal(prompts) + noise * rng.standard_normal((repeats, prompts))
    )
    one = np.ones_like(seconds)
    return np.stack([one, seconds, one, one], axis=-1)
