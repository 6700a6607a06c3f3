"""W&B: what really arrives in an offline run, and what happens without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import wandb

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.records.job import read_job
from eagle_bench.records.store import RunFolder
from eagle_bench.results.tables.jobs import job_table
from eagle_bench.results.trackers import servers, wandb_tracker
from eagle_bench.results.trackers.build import make_tracker
from eagle_bench.results.trackers.tracker import JobRecord, SweepRecord


def wandb_runs(folder: Path) -> list[dict]:
    """What each `.wandb` log under `folder` says, read by W&B's own command."""
    runs = []
    for log in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        command = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--summary"]
        output = subprocess.run([*command, "--json", str(log)], capture_output=True, check=True)
        runs.append(json.loads(output.stdout))
    return runs


def staged(folder: Path) -> list[bytes]:
    """What lies ready for upload as a file of an artifact."""
    return [file.read_bytes() for file in folder.glob("wandb/artifacts/staging/*")]


@pytest.fixture(autouse=True)
def _nobody(tmp_path, monkeypatch):
    """No login, and settings files that are the test's own."""
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr(servers, "_GIVEN_UP", set())


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that knows no key."""

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(401)
            self.end_headers()
            self.wfile.write(b'{"errors": [{"message": "user is not logged in"}]}')

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_wandb_offline_logs_config_figures_and_table(tmp_path, record, sweep_record, secret):
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
    assert report["summary"]["sweep"]["_type"] == "table-file"
    assert report["summary"]["pictures/speedup_by_gen_len"]["_type"] == "image-file"
    uploads = staged(folder)
    for name in ("result.json", "generations.parquet", "rounds.parquet"):
        assert uploads.count((record.job.folder / name).read_bytes()) >= 2, name
    assert sweep_record.pictures[0].read_bytes() in uploads
    assert not (tmp_path / "config").exists()
    stored = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert secret.encode() not in stored


def test_one_command_uploads_a_whole_sweep(tmp_path, finish, simulation):
    sweep, lines = tmp_path / "sweep", []
    jobs = [finish(sweep / f"job{length}", simulation(3, length)) for length in (20, 30)]
    config = TrackerConfig("wandb")
    for job in (*jobs, jobs[0]):
        tracker = make_tracker(config, job.folder, lines.append)
        tracker.log_job(JobRecord(job, "sweep", job_table([job])))
    make_tracker(config, sweep, lines.append).log_sweep(SweepRecord("sweep", jobs, job_table(jobs)))
    runs = [run for folder in (sweep, *(job.folder for job in jobs)) for run in wandb_runs(folder)]
    assert len(runs) == 3, "a job that is logged again replaces its run"
    command = lines[-1].rpartition(": ")[2]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        f"{command} --dry-run", shell=True, capture_output=True, text=True, check=True,
        env=os.environ | {"PATH": path},
    )  # fmt: skip
    assert "Would sync 3 run(s)" in done.stdout + done.stderr


@pytest.mark.parametrize("key", ["", "0" * 40])
def test_wandb_goes_offline_with_one_line(tmp_path, record, monkeypatch, key):
    monkeypatch.setattr(wandb_tracker, "INIT_TIMEOUT_S", 1.0)
    monkeypatch.setenv("WANDB_API_KEY", key)
    check_offline(tmp_path, record, "http://127.0.0.1:9", key)


def test_a_key_that_the_server_refuses(tmp_path, record, monkeypatch, refusing):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert "401" in check_offline(tmp_path, record, refusing, "0" * 40)


def check_offline(tmp_path: Path, record: JobRecord, uri: str, key: str) -> str:
    lines: list[str] = []
    config = TrackerConfig("wandb", mode="online", uri=uri)
    folder = tmp_path / "track"
    make_tracker(config, folder, lines.append).log_job(record)
    assert len(wandb_runs(folder)) == 1
    assert ["offline instead" in line for line in lines] == [True], "the sweep says how to sync"
    if key:
        told = " ".join(lines).encode()
        assert key.encode() not in b"".join([told, *map(read, folder.rglob("*"))])
    return lines[0]


def read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def test_two_trackers_in_one_process_share_nothing(
    tmp_path, finish, simulation, record, monkeypatch, refusing
):
    """One with a server and a refused key, then one without either."""
    servers: list[str] = []
    real = wandb.init

    def init(**settings):
        run = real(**settings)
        servers.append(run.settings.base_url)
        return run

    monkeypatch.setattr(wandb, "init", init)
    usual = wandb.setup().settings.base_url
    wandb.teardown()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    first = TrackerConfig("wandb", "one", mode="online", uri=refusing, tags=["first"])
    make_tracker(first, tmp_path / "one", lambda line: None).log_job(record)
    assert wandb.run is None
    job = finish(tmp_path / "other", simulation(prompts=4, gen_len=30), gen_len=30, extra=1)
    second = make_tracker(TrackerConfig("wandb", "two"), tmp_path / "two", lambda line: None)
    second.log_job(JobRecord(job, "sweep-2", job_table([job])))
    assert wandb.run is None
    assert servers == [refusing, usual]
    ([one], [two]) = (wandb_runs(tmp_path / name) for name in ("one", "two"))
    assert (one["project"], two["project"]) == ("one", "two")
    assert ("extra" in one["config"], "extra" in two["config"]) == (False, True)
    assert (one["summary"]["gen_len"], two["summary"]["gen_len"]) == (60, 30)
    assert "first" not in two["tags"]
    assert "WANDB_DATA_DIR" not in os.environ
    assert not (tmp_path / "config" / "settings").exists()


def test_disabled_logs_nothing(tmp_path, record):
    lines: list[str] = []
    config = TrackerConfig("wandb", mode="disabled")
    make_tracker(config, tmp_path / "track", lines.append).log_job(record)
    assert (wandb_runs(tmp_path / "track"), lines) == ([], [])


def test_a_failed_job_is_logged_as_failed(tmp_path, config):
    with RunFolder(tmp_path / "job") as run:
        run.fail("out of memory", config(), {})
    job = read_job(tmp_path / "job")
    folder = tmp_path / "track"
    tracker = make_tracker(TrackerConfig("wandb"), folder, lambda line: None)
    tracker.log_job(JobRecord(job, "sweep-1", job_table([job])))
    (run,) = wandb_runs(folder)
    assert (run["summary"]["status"], run["summary"]["reason"]) == ("failed", "out of memory")
