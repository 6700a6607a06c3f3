"""Stalled rounds, found among rounds whose seconds are known, and who answers for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eagle_bench.figures.disturbance import disturbance, disturbed
from eagle_bench.figures.stalls import OTHERS, OWN, STEAL, THROTTLING, UNKNOWN, Stalls
from eagle_bench.figures.takes import least_disturbed, part
from eagle_bench.records.rowfiles import take_key
from eagle_bench.records.rows import GenerationRow, RoundRow

STEP_S, GROWTH_S, JITTER = 0.004, 2e-6, 0.05
STEPS = 60


def generation(
    seed: int, stalls: dict[int, float] | None = None, slow: float = 1.0, **fields: object
) -> tuple[GenerationRow, list[RoundRow]]:
    """A baseline's steps that grow with the context and jitter; `stalls` lengthen some of them."""
    rng = np.random.default_rng(seed)
    contexts = 20 + np.arange(STEPS)
    seconds = (STEP_S + GROWTH_S * contexts) * slow * np.exp(JITTER * rng.standard_normal(STEPS))
    for step, lost_s in (stalls or {}).items():
        seconds[step] += lost_s
    wall_s = 0.01 + float(seconds.sum())
    row = GenerationRow(
        prompt_id=str(seed), category="c", turn=0, arm="baseline", repeat=0, gen_len=STEPS + 1,
        new_tokens=STEPS + 1, stop_reason="length", prompt_tokens=19, token_ids=[],
        wall_s=wall_s, prefill_s=0.01, decode_s=wall_s - 0.01, target_calls=STEPS + 1,
        draft_calls=0, rounds=0, accept_lengths=[], overshoot=0, drafted=0, drafted_depth=0,
        accepted=0, peak_bytes=0, cpu_s=wall_s - sum((stalls or {}).values()),
    )  # fmt: skip
    row = replace(row, **fields)
    rounds = [
        RoundRow(row.prompt_id, 0, row.arm, 0, step, 1 + step, int(contexts[step]), 0, 0, 0,
                 seconds=float(seconds[step]), take=row.take)
        for step in range(STEPS)
    ]  # fmt: skip
    return row, rounds


def judged(*others: tuple[GenerationRow, list[RoundRow]]) -> list[GenerationRow]:
    """The judgement of `others` beside twelve undisturbed generations."""
    stalls = Stalls()
    for known in [*(generation(100 + seed) for seed in range(12)), *others]:
        stalls.add(*known)
    return stalls.judged()[12:]


def test_jitter_and_a_growing_context_are_no_stalls() -> None:
    rows = judged(*(generation(seed) for seed in range(200)))
    assert not any(row.disturbed or row.culprit for row in rows)
    assert sum(row.stalled_s or 0.0 for row in rows) < 0.002 * sum(row.wall_s for row in rows)


@pytest.mark.parametrize(
    ("evidence", "culprit"),
    [
        ({"waited_s": 0.09}, OTHERS),
        ({"others_cores": 0.4}, OTHERS),
        ({"steal_s": 0.1}, STEAL),
        ({"throttled_s": 0.1, "steal_s": 0.06}, THROTTLING),
        ({"gpu_processes": 1}, UNKNOWN),
        ({"gpu_processes": 2}, "others on the GPU"),
        ({"cpu_s": None}, UNKNOWN),
    ],
)
def test_who_answers_for_a_stall(evidence: dict[str, float], culprit: str) -> None:
    [row] = judged(generation(0, {7: 0.06, 30: 0.04}, **evidence))
    assert row.stalled_s == pytest.approx(0.1, rel=0.05)
    assert (row.disturbed, row.culprit) == (True, culprit)
    assert row.lost_s == row.stalled_s


def test_a_stall_in_which_our_own_process_ran_is_the_arms_own() -> None:
    row, rounds = generation(0, {7: 0.1})
    [found] = judged((replace(row, cpu_s=row.wall_s), rounds))
    assert (found.disturbed, found.culprit, found.lost_s) == (False, OWN, 0.0)
    assert disturbance([found])["own_s"] == {"baseline": pytest.approx(0.1, rel=0.05)}


def test_a_small_stall_is_tolerated() -> None:
    [row] = judged(generation(0, {7: 0.004}, waited_s=0.004))
    assert row.stalled_s == pytest.approx(0.004, rel=0.2)
    assert not row.disturbed


def test_a_machine_at_half_its_speed_and_a_stalled_prefill() -> None:
    slow, prefill = generation(0, slow=2.0, others_cores=1.0), generation(1, waited_s=0.2)
    row = replace(prefill[0], wall_s=prefill[0].wall_s + 0.2, prefill_s=0.21)
    halved, started_late = judged(slow, (row, prefill[1]))
    assert halved.stalled_s == pytest.approx(halved.wall_s / 2, rel=0.1)
    assert halved.disturbed
    assert started_late.stalled_s == pytest.approx(0.2, rel=0.01)


def test_stalls_in_a_third_of_all_generations_are_still_seen() -> None:
    stalls = Stalls()
    for seed in range(60):
        stalls.add(*generation(seed, slow=2.0 if seed % 3 == 0 else 1.0, others_cores=1.0))
    assert [row.disturbed for row in stalls.judged()] == [seed % 3 == 0 for seed in range(60)]


def test_without_rounds_seconds_or_in_a_batch_nothing_is_said() -> None:
    row, rounds = generation(0, {7: 1.0})
    bare = [replace(each, seconds=None) for each in rounds]
    batched, old = judged((replace(row, batch_size=2), rounds), (replace(row, take=1), bare))
    assert (batched.stalled_s, batched.disturbed) == (None, False)
    assert (old.stalled_s, old.disturbed) == (None, False)


def test_judging_while_the_run_goes_on() -> None:
    stalls = Stalls()
    for seed in range(12):
        stalls.add(*generation(seed))
    late = generation(12, {3: 0.5})
    stalls.add(*late)
    assert stalls.disturbed([take_key(late[0])])
    assert not stalls.disturbed([take_key(generation(3)[0])])


def test_the_least_disturbed_take_counts_whatever_its_speedup(baseline, chain) -> None:
    """Take 0 flatters, take 1 does not, take 2 is cut short; what others took decides."""

    def take(number: int, lost_b: float, lost_s: float, *, slow: float) -> list[GenerationRow]:
        rows = [baseline("p", 10, step_s=0.1 * slow), chain("p", [4, 3], round_s=0.2)]
        for row, lost in zip(rows, (lost_b, lost_s), strict=True):
            row.take, row.stalled_s, row.disturbed = number, lost, lost > 0
        return rows

    first, second = take(0, 0.5, 0.0, slow=3.0), take(1, 0.0, 0.01, slow=1.0)
    rows = [*first, *second, take(2, 0.0, 0.0, slow=1.0)[0]]
    assert least_disturbed(rows) == {("p", 0): 1}
    counted, others = part(rows, {("p", 0): 1})
    assert counted == second
    assert others == [*first, rows[-1]]
    assert least_disturbed([*first, *take(1, 0.5, 0.0, slow=3.0)]) == {("p", 0): 0}
    mirrored = [*take(0, 0.0, 0.5, slow=3.0), *take(1, 0.01, 0.0, slow=1.0)]
    assert least_disturbed(mirrored) == {("p", 0): 1}


def test_a_disturbed_pair_is_told_and_one_without_is_not() -> None:
    calm, hit = judged(generation(0), generation(1, {7: 0.2}, steal_s=0.2))
    assert disturbed(disturbance([calm])).ok
    guard = disturbed(disturbance([calm, hit]))
    assert not guard.ok
    assert guard.detail.startswith("1 of 2 pairs lost time to others in every take (steal 0.2 s)")
