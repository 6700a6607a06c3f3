"""Recorded stalls over synthetic rounds: what the speedup and its interval make of them."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.noise.simulate import Outcome, Scenario, outcomes, truth
from experiments.noise.stalls import Always, AlwaysOnBaseline, Bursts, BurstsOnBaseline, Neighbour

RUNS = 8


def replayed(neighbour: type[Neighbour]) -> tuple[list[Outcome], list[Outcome]]:
    both = [outcomes(Scenario("", neighbour), seed, resamples=200) for seed in range(RUNS)]
    before, now = zip(*both, strict=True)
    return list(before), list(now)


def test_where_nothing_is_disturbed_every_figure_is_what_it_was() -> None:
    before, now = replayed(Neighbour)
    assert now == before
    assert {each.left for each in now} == {0}


@pytest.mark.parametrize("neighbour", [Bursts, BurstsOnBaseline])
def test_bursts_do_not_move_the_speedup_where_each_pair_has_an_undisturbed_take(
    neighbour: type[Neighbour],
) -> None:
    before, now = replayed(neighbour)
    assert max(abs(each.bias) for each in before) > 0.1
    cured = [each.bias for each in now if not each.left]
    assert len(cured) > RUNS / 2
    assert abs(np.mean(cured)) < 0.002
    assert max(map(abs, cured)) < 0.02
    assert max(each.takes for each in now) > 1.0


@pytest.mark.parametrize("neighbour", [Always, AlwaysOnBaseline])
def test_what_no_take_escapes_is_told_and_the_interval_covers_it(
    neighbour: type[Neighbour],
) -> None:
    before, now = replayed(neighbour)
    true = truth(gen_len=100, prompts=2000)
    assert all(each.left > 0 for each in now)
    assert sum(each.low <= true <= each.high for each in now) >= RUNS - 2
    for was, each in zip(before, now, strict=True):
        assert each.takes == 3.0
        assert each.high - each.low > 0.9 * (was.high - was.low)
