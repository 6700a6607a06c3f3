"""What `show` may expect of every tracker in `KINDS`; a new one joins by a row.

What arrives in each one's store is asked in `test_results_trackers.py` and `test_results_wandb.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eagle_bench.config.tracker import TRACKERS, TrackerConfig
from eagle_bench.results.trackers.build import make_tracker
from eagle_bench.results.trackers.tracker import JobRecord, SweepRecord, Tracker

KINDS = {
    "none": (),
    "wandb": (),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy"),
}
"""What of its own library each needs to be installed."""

every = pytest.mark.parametrize("name", KINDS)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Tracker]:
    """A tracker by name that must not fail, at work in an empty place without a login."""
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb_config"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def make(name: str) -> Tracker:
        for library in KINDS[name]:
            pytest.importorskip(library)
        return make_tracker(TrackerConfig(name), tmp_path / "track", said)

    def said(line: str) -> None:
        if line.startswith("tracker:"):
            pytest.fail(line)

    return make


def test_every_tracker_has_its_row() -> None:
    assert set(KINDS) == set(TRACKERS)


@every
def test_its_place_stays_and_is_no_other_tracker_s(
    made: Callable[[str], Tracker], name: str
) -> None:
    places = {made(name).place for _ in range(2)}
    assert len(places) == 1
    assert places.pop().startswith(name if name != "none" else "")


@every
def test_jobs_and_sweeps_go_into_its_folder_and_nowhere_else_without_secrets(
    made: Callable[[str], Tracker],
    tmp_path: Path,
    record: JobRecord,
    sweep_record: SweepRecord,
    secret: str,
    name: str,
) -> None:
    tracker = made(name)
    before = record.job.folder.joinpath("result.json").read_bytes()
    tracker.log_job(record)
    tracker.log_sweep(sweep_record)
    assert not list((tmp_path / "here").iterdir())
    kept = [file for file in (tmp_path / "track").rglob("*") if file.is_file()]
    assert bool(kept) == (name != "none")
    assert not [file for file in kept if secret.encode() in file.read_bytes()]
    assert record.job.folder.joinpath("result.json").read_bytes() == before
