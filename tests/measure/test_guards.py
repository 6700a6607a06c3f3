"""A planted fault for each guard; a clean run violates none."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from eagle_bench.figures.guards import beyond_head, check, unique_bigram_share
from eagle_bench.figures.lossless import compare, grade_divergences
from eagle_bench.figures.summary import summarise
from eagle_bench.records.rows import GenerationRow

CLEAN = {
    "device": "cpu",
    "threads": 2,
    "cpu": {"cores": 2, "affinity": [0, 1]},
    "load": {"busy_cores": 0.1, "one_minute": 0.3},
    "gpu": None,
    "clocks": {"before": {"cpu_mhz": 2500.0}, "after": {"cpu_mhz": 2450.0}},
}


@pytest.fixture
def rows(baseline, chain) -> list[GenerationRow]:
    found = []
    for index in range(6):
        lengths = [4, 3, 2, 4, 3, 4, 2, 3, 4 - index % 3]
        spec = chain(str(index), lengths)
        found += [baseline(str(index), spec.new_tokens), spec]
    return found


def violated(
    rows: list[GenerationRow],
    provenance: dict[str, Any] = CLEAN,
    costs: dict[str, Any] | None = None,
    engine_gap: dict[str, Any] | None = None,
) -> set[str]:
    summary = summarise(
        rows, gen_len=40, seed=0, resamples=200, confidence=0.95, lossless=compare(rows)
    )
    found = check(rows, summary | {"costs": costs, "engine_gap": engine_gap}, provenance)
    assert all(set(guard) == {"name", "ok", "detail"} and not guard["ok"] for guard in found)
    assert all(guard["detail"] for guard in found)
    return {guard["name"] for guard in found}


def machine(*path: str, value: Any) -> dict[str, Any]:
    provenance: dict[str, Any] = deepcopy(CLEAN)
    place = provenance
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return provenance


def test_a_clean_run_passes(rows):
    assert violated(rows, costs=timed(rows, step_floor_s=0.002, step_s=0.01)) == set()


def test_loop(rows):
    for row in rows:
        row.token_ids = [1, 2, 3] * 12 + row.token_ids[36:]
    assert violated(rows) == {"loops.baseline", "loops.chain"}


def test_one_loop_among_many_prompts_is_no_reason(rows, baseline):
    rows += [baseline(f"more{i}", 40) for i in range(30)]
    rows[0].token_ids = rows[1].token_ids = [1] * len(rows[0].token_ids)
    assert violated(rows) == {"loops.chain"}


def test_unique_bigrams_by_hand():
    assert unique_bigram_share([1, 2, 1, 2, 1]) == 2 / 4
    assert unique_bigram_share([0] * 500 + list(range(100))) == 1.0


def test_changed_output_and_unequal_count(rows):
    rows[1].token_ids = [99, *rows[1].token_ids[1:]]
    assert violated(rows) == {"changed_output"}
    rows[3].new_tokens -= 1
    rows[3].token_ids = rows[3].token_ids[:-1]
    assert violated(rows) == {"changed_output", "unequal_counts"}


def test_graded_ties_are_accepted(rows):
    rows[1].token_ids = [99, *rows[1].token_ids[1:]]
    report = compare(rows)
    graded = grade_divergences(report, {report.differing[0]: [0.001]}, tie_gap=0.05)
    summary = summarise(rows, gen_len=40, seed=0, resamples=200, confidence=0.95, lossless=graded)
    assert check(rows, summary, CLEAN) == []


def test_neighbours_that_come_after_the_start(rows):
    """Two threads on four cores: 2.4 of others leave room, 2.6 do not."""
    for cores, names in ((2.4, set()), (2.6, {"busy_machine"})):
        for row in rows:
            row.others_cores = cores if row.arm == "chain" else None
        assert violated(rows, machine("cpu", "affinity", value=[0, 1, 2, 3])) == names


def test_eos(rows):
    for row in rows[:8]:
        row.stop_reason = "eos"
    assert violated(rows) == {"eos_share.baseline", "eos_share.chain"}


def test_few_prompts(rows):
    assert violated(rows[:8]) == {"few_prompts", "interval_crosses_one"}


def test_interval_crosses_one(rows):
    for index, row in enumerate(rows):
        if row.arm == "chain":
            scale = (0.5, 2.0)[index // 2 % 2] * len(row.token_ids) * 0.01 / row.wall_s
            row.wall_s, row.decode_s = row.wall_s * scale, row.decode_s * scale
    assert violated(rows) == {"interval_crosses_one"}


def timed(rows: list[GenerationRow], *, step_s: float, step_floor_s: float) -> dict[str, Any]:
    """The cost model's figures where the rows' speedup is what it measured itself."""
    seconds = {
        arm: sum(row.decode_s for row in rows if row.arm == arm)
        / sum(row.new_tokens - 1 for row in rows if row.arm == arm)
        for arm in ("baseline", "chain")
    }
    speedup = seconds["baseline"] / seconds["chain"]
    measured = {"step_s": seconds["baseline"], "speedup": speedup}
    return {
        "method": "chain",
        "measured": measured,
        "step_s": step_s,
        "step_floor_s": step_floor_s,
    }


def test_slowed_baseline(rows):
    clean = timed(rows, step_floor_s=0.002, step_s=0.01)
    far = clean | {"step_floor_s": 0.0009}
    for row in rows:
        row.wall_s, row.decode_s = row.wall_s * 1.5, row.decode_s * 1.5
    assert violated(rows, costs=clean) == set(), "a machine that is slower for both arms"
    for row in rows:
        if row.arm == "baseline":
            row.wall_s, row.decode_s = row.wall_s * 1.5, row.decode_s * 1.5
    assert violated(rows, costs=clean) == {"slow_baseline"}
    assert violated(rows, costs=far) == {"slow_baseline", "far_from_roofline"}


def test_a_baseline_that_waits_for_its_host(rows):
    gpu = machine("device", value="cuda:0")
    near, far = (timed(rows, step_s=0.01, step_floor_s=0.01 / ratio) for ratio in (1.5, 1.7))
    assert violated(rows, gpu, costs=near) == set()
    assert violated(rows, costs=far) == set(), "a CPU is its own host"
    assert violated(rows, gpu, costs=far) == {"host_bound"}


def test_noisy_neighbour(rows):
    assert violated(rows, machine("load", "busy_cores", value=0.9)) == {"busy_machine"}
    gpu = machine("gpu", value={"compute_processes": 3})
    assert violated(rows, gpu) == {"busy_machine"}


def test_a_context_beyond_the_heads_positions(rows):
    """The prompts' first rounds have a context of `first` tokens; tau falls behind them."""
    first = min(row.prompt_tokens for row in rows) + 1
    longest = max(row.prompt_tokens + row.new_tokens for row in rows)
    for positions, faults in ((longest, set()), (first, {"beyond_head"}), (None, set())):
        assert violated(rows, CLEAN | {"drafter": {"positions": positions}}) == faults
    guard = beyond_head([row for row in rows if row.prompt_id == "0"], first)
    assert guard.detail == (
        f"8 of 9 rounds ran in a context beyond the head's own {first} positions: tau 4.12 there, "
        "tau 5.00 before."
    )


def test_an_engine_that_counts_otherwise(rows):
    gap = {"prompts": 8, "equal_prompts": 8, "by_rounding": False, "sentence": "8 of 8."}
    assert violated(rows, engine_gap=gap) == set()
    assert violated(rows, engine_gap=gap | {"equal_prompts": 7}) == {"engine_gap"}


def test_narrow_affinity(rows):
    assert violated(rows, machine("cpu", "affinity", value=[0])) == {"narrow_affinity"}
    assert violated(rows, machine("cpu", "affinity", value=None)) == set()


@pytest.mark.parametrize(
    "after", [{"cpu_mhz": 1800.0}, {"cpu_mhz": None, "gpu_throttle_mask": 0x40}]
)
def test_throttling(rows, after):
    assert violated(rows, machine("clocks", "after", value=after)) == {"throttled"}


@pytest.mark.parametrize("after", [None, {"cpu_mhz": None, "gpu_throttle_mask": 0x1}])
def test_unknown_clocks_and_idle_gpu_are_no_throttling(rows, after):
    assert violated(rows, machine("clocks", "after", value=after)) == set()


def test_drift(rows):
    again = deepcopy(rows)
    for row in again:
        row.repeat = 1
        row.wall_s, row.decode_s = row.wall_s * 1.2, row.decode_s * 1.2
    assert violated(rows + again) == {"drift.baseline", "drift.chain"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"host": "b"}, "host b and a"),
        ({"threads": 8}, "threads 8 and 2"),
        ({"gpu": {"name": "H100"}}, "GPU H100 and None"),
        ({}, None),
    ],
)
def test_sessions_on_several_machines(rows, change, told):
    here = CLEAN | {"host": "a", "cpu": CLEAN["cpu"] | {"model": "EPYC"}}
    summary = summarise(
        rows, gen_len=40, seed=0, resamples=200, confidence=0.95, lossless=compare(rows)
    )
    found = check(rows, summary, here | {"sessions": [here | change, here]})
    assert [guard["name"] for guard in found] == (["mixed_machines"] if told else [])
    assert not told or told in found[0]["detail"]
