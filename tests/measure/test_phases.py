"""The instrumented pass accounts for its time, and a clock's phases add up."""

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from eagle_bench.machine.clock import PhaseClock
from eagle_bench.measure.phases import in_words
from eagle_bench.records.rowfiles import PHASES_PARQUET
from eagle_bench.run import main


def test_laps_and_totals_hold_the_same_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    clock = PhaseClock(torch.device("cpu"))
    clock.mark("draft")
    clock.mark("verify")
    assert clock.lap() == {"draft": 1.0, "verify": 2.0}
    clock.mark("draft")
    clock.mark("verify")
    assert clock.lap() == {"draft": 3.0, "verify": 4.0}
    clock.mark("emit")
    assert clock.total() == {"draft": 4.0, "verify": 6.0, "emit": 5.0}


def test_a_gpus_phases_are_what_the_device_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host hands over work in no time; the device is behind until someone waits for it."""
    handed_s: list[float] = [0.0]
    waited: list[float] = []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: object) -> None:
            assert stream == "stream of cuda:1"
            self.at_s = sum(handed_s)

        def synchronize(self) -> None:
            waited.append(self.at_s)

        def elapsed_time(self, later: "Event") -> float:
            assert later.at_s in waited
            return 1e3 * (later.at_s - self.at_s)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    clock = PhaseClock(torch.device("cuda:1"))
    for phase, seconds in {"draft": 1.0, "verify": 4.0, "accept": 0.0}.items():
        handed_s.append(seconds)
        clock.mark(phase)
    assert waited == []
    assert clock.lap() == {"draft": 1.0, "verify": 4.0, "accept": 0.0}
    handed_s.append(0.5)
    clock.mark("draft")
    assert clock.total() == {"draft": 1.5, "verify": 4.0, "accept": 0.0}


@pytest.mark.alone
def test_a_run_says_where_its_time_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [
        "num_samples=3",
        "gen_len=24",
        "tracker=none",
        "threads=1",
        f"output_dir={tmp_path}",
    ]
    wanted = ["measure.phases=true", "measure.profile=true", "output=quiet"]
    monkeypatch.setattr(sys, "argv", ["run", *settings, *wanted])
    main()
    [result] = tmp_path.rglob("result.json")
    folder = result.parent
    summary = json.loads(result.read_text())["summary"]
    assert set(summary["phases"]) == {"baseline", "chain"}
    rounds = pd.read_parquet(folder / PHASES_PARQUET)
    for arm, found in summary["phases"].items():
        total_s = sum(found["phases_s"].values()) + found["remainder_s"]
        assert total_s == pytest.approx(found["wall_s"])
        assert abs(found["remainder_s"]) < 0.02 * found["wall_s"]
        assert found["generations"] == 3
        assert f"time of {arm}" in in_words(arm, found)
        own = rounds[rounds.arm == arm]
        assert len(own) == found["rounds"]
        for phase in ("draft", "verify", "accept", "commit", "host"):
            assert own[f"phases_s.{phase}"].sum() == pytest.approx(found["phases_s"][phase])
    trace = json.loads((folder / "trace.json").read_text())
    names = {event.get("name") for event in trace["traceEvents"]}
    assert {"baseline", "chain"} <= names
