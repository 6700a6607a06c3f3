"""Disturbed pairs in real runs of the embedded pair: measured again, told, resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from test_planted_faults import Planted, Watch, settings, violated

from eagle_bench.decoding.build import build_baseline
from eagle_bench.errors import RunFailure
from eagle_bench.figures import stalls
from eagle_bench.machine import quiet
from eagle_bench.measure import benchmark
from eagle_bench.measure.job import run_job
from eagle_bench.records.rowfiles import read_generations, read_retakes, read_rounds

SLEEP_S = 3.0
HIT = 2
"""Index of the prompt that is disturbed."""
Disturb = Callable[..., None]


@pytest.fixture
def disturb(monkeypatch: pytest.MonkeyPatch) -> Disturb:
    """Let a neighbour take `SLEEP_S` of the baseline on one prompt in the first `takes` takes.

    Stalls of the machine that runs the test are not seen: they lengthen no round 300 times.
    """

    def plant(takes: int) -> None:
        now = SimpleNamespace(left=0)
        run, build = benchmark.Benchmark.run, build_baseline

        def noted(self: Any, block: Any, report: Any) -> None:
            now.left = int(block.index == HIT and block.take < takes)
            run(self, block, report)

        def built(*arguments: Any) -> Any:
            arm: Any = build(*arguments)

            def observe(*_: Any) -> None:
                if now.left:
                    now.left = 0
                    time.sleep(SLEEP_S)

            arm.method.observe = observe
            return arm

        monkeypatch.setattr(benchmark.Benchmark, "run", noted)
        monkeypatch.setattr("eagle_bench.engines.build.build_baseline", built)
        monkeypatch.setattr(stalls, "REACH", 1e9)
        monkeypatch.setattr(stalls, "MOST_REACH", 300.0)
        monkeypatch.setattr(quiet.Quiet, "wait", lambda self, most_s: True)

    return plant


def test_a_disturbed_pair_is_measured_again(tmp_path: Path, disturb: Disturb) -> None:
    disturb(takes=1)
    job = run_job(settings(), tmp_path, Planted(), Watch())
    rows, retakes = read_generations(tmp_path)[0], read_retakes(tmp_path)
    assert [row.take for row in rows if row.prompt_id == rows[2 * HIT].prompt_id] == [1, 1]
    assert sum(row.take for row in rows) == 2
    assert {row.prompt_id for row in retakes} == {rows[2 * HIT].prompt_id}
    assert [(row.arm, row.take, row.disturbed) for row in retakes] == [
        ("baseline", 0, True), ("chain", 0, False),
    ]  # fmt: skip
    assert max(row.wall_s for row in rows) < SLEEP_S < max(row.wall_s for row in retakes)
    assert job.summary["disturbance"] == {
        "pairs": 0, "of": 5, "lost_s": {}, "own_s": {}, "retakes": 1,
    }  # fmt: skip
    assert "disturbed" not in violated(dict(job.summary))
    rounds = read_rounds(tmp_path)[0]
    assert {row.prompt_id: row.take for row in rounds} == {row.prompt_id: row.take for row in rows}
    retaken = pd.read_parquet(tmp_path / "retaken_rounds.parquet")
    assert set(retaken["take"]) == {0}
    assert retaken["seconds"].max() > SLEEP_S


def test_what_stays_disturbed_counts_and_is_told(tmp_path: Path, disturb: Disturb) -> None:
    disturb(takes=9)
    found = run_job(settings(measure={"remeasure": 1}), tmp_path, Planted(), Watch()).summary
    assert found["disturbance"]["pairs"] == found["disturbance"]["retakes"] == 1
    assert sum(found["disturbance"]["lost_s"].values()) > SLEEP_S / 2
    assert "disturbed" in violated(dict(found))
    assert found["speedup"]["low"] < found["speedup"]["pooled"] / 2


def test_takes_of_a_run_that_failed_are_known_to_the_next(tmp_path: Path, disturb: Disturb) -> None:
    """The first process ends one prompt after the disturbed one had its third take."""
    disturb(takes=2)
    with pytest.raises(RunFailure):
        run_job(settings(), tmp_path, Planted(), Watch(until=2 * (HIT + 2)))
    assert {row.take for row in read_retakes(tmp_path)} == {1, 2}
    job = run_job(settings(), tmp_path, Planted(), Watch())
    rows = read_generations(tmp_path)[0]
    assert sum(row.take for row in rows) == 2 * 2
    assert {row.take for row in read_retakes(tmp_path)} == {0, 1}
    assert job.summary["resumed_generations"] == 2 * (HIT + 2)


def test_none_is_measured_again_at_zero(tmp_path: Path, disturb: Disturb) -> None:
    disturb(takes=9)
    run_job(settings(measure={"remeasure": 0}), tmp_path, Planted(), Watch())
    assert not (tmp_path / "retakes.jsonl").exists()


def test_waiting_for_a_quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores; others leave room for two threads after three seconds, then never again."""
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now_s)
    monkeypatch.setattr(time, "sleep", lambda s: setattr(clock, "now_s", clock.now_s + s))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)

    class Reading:
        def others_cores(self, earlier: Any) -> float:
            return 0.4 if 3.0 < clock.now_s < 4.0 else 1.0

    waiting = quiet.Quiet(2, SimpleNamespace(read=Reading))  # type: ignore[arg-type]
    assert waiting.wait(most_s=100.0)
    assert clock.now_s == pytest.approx(3.2, abs=0.3)
    clock.now_s = 5.0
    assert not waiting.wait(most_s=1.0)
    assert clock.now_s == pytest.approx(6.0, abs=0.3)
    assert not waiting.wait(most_s=100.0)
    assert clock.now_s == pytest.approx(15.0, abs=0.5)
    assert not waiting.wait(most_s=100.0)
    assert clock.now_s == pytest.approx(15.2, abs=0.5)
    assert quiet.Quiet(1, SimpleNamespace(read=Reading)).wait(0.0)  # type: ignore[arg-type]
