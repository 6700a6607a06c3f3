"""W&B: what really arrives in an offline run, and what happens without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eagle_bench.config import TrackerConfig
from eagle_bench.results.job import read_job
from eagle_bench.results.store import RunFolder
from eagle_bench.results.table import job_table
from eagle_bench.results.trackers import wandb_tracker
from eagle_bench.results.trackers.tracker import JobRecord, make_tracker


def wandb_runs(folder: Path) -> list[dict]:
    """What each `.wandb` log under `folder` says, read by W&B's own command."""
    runs = []
    for log in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        command = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--summary"]
        output = subprocess.run([*command, "--json", str(log)], capture_output=True, check=True)
        runs.append(json.loads(output.stdout))
    return runs


def test_wandb_offline_logs_config_figures_and_table(
    tmp_path, record, sweep_record, secret, monkeypatch
):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    lines: list[str] = []
    folder = tmp_path / "track"
    tracker = make_tracker(
        TrackerConfig("wandb", project="bench", tags=["mine"]), folder, lines.append
    )
    tracker.log_job(record)
    tracker.log_sweep(sweep_record)
    report, run = sorted(wandb_runs(folder), key=lambda found: "decoding" in found["config"])
    assert run["project"] == "bench"
    assert run["state"] == "finished"
    assert run["config"]["decoding"]["draft_len"] == 4
    pooled = record.job.speedup["pooled"]
    assert run["summary"]["speedup"]["pooled"] == pytest.approx(pooled)
    assert run["summary"]["speed/speedup"] == pytest.approx(pooled)
    assert run["summary"]["gen_len"] == 60
    assert run["summary"]["results"]["nrows"] == 1
    assert {"mine", "embedded", "chain"} <= set(run["tags"])
    assert report["config"] == {"jobs": 1}
    assert report["summary"]["speed/speedup"] == pytest.approx(pooled)
    assert report["summary"]["results"]["_type"] == "table-file"
    assert report["summary"]["pictures/speedup_by_gen_len"]["_type"] == "image-file"
    assert ["wandb sync" in line for line in lines] == [True, True]
    for line in lines:
        assert Path(line.rpartition(" ")[2]).is_dir()
    stored = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert secret.encode() not in stored


@pytest.mark.parametrize("key", ["", "0" * 40])
def test_wandb_goes_offline_with_one_line(tmp_path, record, monkeypatch, key):
    monkeypatch.setattr(wandb_tracker, "INIT_TIMEOUT_S", 1.0)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_API_KEY", key)
    lines: list[str] = []
    config = TrackerConfig("wandb", mode="online", uri="http://127.0.0.1:9")
    make_tracker(config, tmp_path / "track", lines.append).log_job(record)
    assert len(wandb_runs(tmp_path / "track")) == 1
    assert [("offline instead" in line, "wandb sync" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]
    assert key == "" or key not in " ".join(lines)


def test_a_failed_job_is_logged_as_failed(tmp_path, config):
    with RunFolder(tmp_path / "job") as run:
        run.fail("out of memory", config(), {})
    job = read_job(tmp_path / "job")
    folder = tmp_path / "track"
    tracker = make_tracker(TrackerConfig("wandb"), folder, lambda line: None)
    tracker.log_job(JobRecord(job, "sweep-1", job_table([job])))
    (run,) = wandb_runs(folder)
    assert (run["summary"]["status"], run["summary"]["reason"]) == ("failed", "out of memory")
