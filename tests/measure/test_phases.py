"""The instrumented pass accounts for its time, and a clock's phases add up."""

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from eagle_bench.decoding.clock import PhaseClock
from eagle_bench.measure.phases import in_words
from eagle_bench.results.rowfiles import PHASES_PARQUET
from eagle_bench.run import main


def test_laps_and_totals_hold_the_same_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    clock = PhaseClock(torch.device("cpu"))
    clock.mark("draft")
    clock.mark("verify")
    assert clock.lap() == {"draft": 1.0, "verify": 2.0}
    clock.mark("draft")
    clock.mark("verify")
    assert clock.lap() == {"draft": 3.0, "verify": 4.0}
    assert clock.seconds == {"draft": 4.0, "verify": 6.0}


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
