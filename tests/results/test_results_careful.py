"""A tracker never costs a result, never runs before the table, and gets each result once."""

from __future__ import annotations

import json
import socket
import sys
import time
from dataclasses import replace

import pytest

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import Output
from eagle_bench.results.show import show_job
from eagle_bench.results.trackers import servers
from eagle_bench.results.trackers.build import make_tracker
from eagle_bench.results.trackers.careful import TRACKED, CarefulTracker
from eagle_bench.run import main


class Memory:
    """A service that keeps what it gets, or fails."""

    def __init__(self, place="memory", fault=None):
        self.place, self.fault, self.logged = place, fault, []

    def log_job(self, record):
        if self.fault:
            raise self.fault
        self.logged.append(record)

    log_sweep = log_job


@pytest.fixture(autouse=True)
def _no_server_given_up(monkeypatch):
    monkeypatch.setattr(servers, "_GIVEN_UP", set())


@pytest.mark.parametrize("fault", [RuntimeError("no quota\nat all"), OSError(28, "No space left")])
def test_whatever_a_tracker_raises_is_one_line_after_the_table(record, fault):
    lines = []
    tracker = CarefulTracker(Memory(fault=fault), lines.append)
    show_job(record.job, Output.table, tracker, "job", lines.append, alone=True)
    tracker.log_sweep(record)
    assert [line.partition(":")[0] for line in lines[:2]] == ["results", "next"]
    assert [line.startswith("tracker: ") for line in lines[2:]] == [True, True]
    assert "at all" not in "".join(lines)
    assert not (record.job.folder / TRACKED).exists()


def test_the_table_is_printed_before_the_tracker_is_asked(record, capsys):
    seen = []

    class Looking(Memory):
        def log_job(self, record):
            seen.append(capsys.readouterr().out)

    show_job(record.job, Output.table, Looking(), "job", lambda line: None, alone=True)
    assert "Speedup" in seen[0]


def test_a_finished_result_goes_once_to_each_place(record):
    found = replace(record.job, found=True)
    one, two = Memory("one"), Memory("two")
    for service, job in ((one, record.job), (one, found), (two, found), (one, found), (two, found)):
        tracker = CarefulTracker(service, print)
        show_job(job, Output.quiet, tracker, "sweep-1", print, alone=False)
    assert (len(one.logged), len(two.logged)) == (1, 1)
    show_job(record.job, Output.quiet, CarefulTracker(one, print), "s", print, alone=False)
    assert len(one.logged) == 2, "what was measured anew is logged anew"
    assert json.loads((found.folder / TRACKED).read_text()) == ["one"]
    (found.folder / TRACKED).write_text("{half")
    show_job(found, Output.quiet, CarefulTracker(one, print), "s", print, alone=False)
    assert len(one.logged) == 3


def test_missing_pictures_are_drawn_again_and_the_others_left_alone(record):
    show_job(record.job, Output.quiet, Memory(), "s", print, alone=False)
    pictures = {path: path.stat().st_mtime_ns for path in record.job.folder.glob("*.png")}
    gone = record.job.folder / "calls_per_token.png"
    gone.unlink()
    memory = Memory()
    show_job(replace(record.job, found=True), Output.quiet, memory, "s", print, alone=False)
    assert gone.exists()
    assert {path for path in pictures if path.stat().st_mtime_ns != pictures[path]} == {gone}
    assert {*memory.logged[0].pictures} == {*pictures}


def test_a_silent_server_is_noticed_once_within_five_seconds(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setattr(servers, "PATIENCE_S", 1.0)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        lines = []
        began_s = time.monotonic()
        trackers = [
            make_tracker(TrackerConfig("wandb", mode="online", uri=uri), tmp_path, lines.append)
            for _ in range(5)
        ]
        assert time.monotonic() - began_s < 5
    assert len(lines) == 1
    assert "does not answer" in lines[0]
    assert {tracker.place.split()[1] for tracker in trackers} == {"offline"}
    assert servers._silence("http://127.0.0.1:9") is not None


def test_a_missing_library_is_told_before_anything_loads(tmp_path, monkeypatch, capfd):
    monkeypatch.delitem(sys.modules, "eagle_bench.results.trackers.mlflow_tracker", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    nowhere = f"model.path={tmp_path / 'nowhere'}"
    monkeypatch.setattr(
        sys, "argv", ["run", "tracker=mlflow", "model=local", nowhere, f"output_dir={tmp_path}"]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "pip install 'eagle_bench[mlflow]'" in capfd.readouterr().err
