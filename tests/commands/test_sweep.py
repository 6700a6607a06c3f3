"""The end of a multirun, shown with the settings of its command line."""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf, open_dict, read_write

from eagle_bench.config.values import Output
from eagle_bench.launch import registry as schema
from eagle_bench.launch.sweep import (
    SWEEP,
    BasicSweeper,
    FailureCallback,
    SweepCallback,
    grid_jobs,
    planned_jobs,
)
from eagle_bench.records.job import read_job
from eagle_bench.run import main
from tests.commands.cli import QUICK, run


@pytest.fixture(autouse=True)
def _no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    GlobalHydra.instance().clear()
    for name, value in vars(SWEEP).items():
        monkeypatch.setattr(SWEEP, name, value)


def test_the_command_line_says_how_a_sweep_is_shown(tmp_path: Path) -> None:
    schema.register()
    overrides = ["output=json", "tracker.mode=online", f"hydra.sweep.dir={tmp_path}"]
    with initialize_config_dir(schema.CONF, version_base="1.3"):
        config = compose("config", overrides, return_hydra_config=True)
        SweepCallback().on_multirun_start(config)
    assert SWEEP.tracker is not None
    assert (SWEEP.folder, SWEEP.output) == (tmp_path, Output.json)
    assert (SWEEP.tracker.name, SWEEP.tracker.mode) == ("wandb", "online")


def test_a_sweep_refused_before_its_first_job_has_nothing_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "-m", "gen_len=8,abc", f"output_dir={tmp_path}"])
    with pytest.raises(SystemExit) as end:
        main()
    out, told = capfd.readouterr()
    assert end.value.code == 2, told
    assert "gen_len=abc" in told
    assert len(told.splitlines()) == 1
    assert out == ""


def test_every_job_of_a_sweep_is_planned_by_name_and_config(tmp_path: Path) -> None:
    schema.register()
    overrides = [
        *("output=quiet", f"output_dir={tmp_path}", "+experiment=length_sweep"),
        *("decoding=chain,tree", "gen_len=range(5,7)"),
    ]
    fixed = [each for each in overrides if "," not in each]
    with initialize_config_dir(schema.CONF, version_base="1.3"):
        config = compose("config", fixed, return_hydra_config=True)
        with read_write(config), open_dict(config):
            config.hydra.overrides.task = overrides
        grid = grid_jobs(config)
    jobs = planned_jobs(grid)
    assert len(planned_jobs([*grid, *grid])) == len(jobs) == len(grid)
    found = [(job["decoding"]["name"], job["gen_len"], job["num_samples"]) for job in jobs.values()]
    assert sorted(found) == list(product(("chain", "tree"), (5, 6), (24,)))
    assert all(name.startswith(job["decoding"]["name"]) for name, job in jobs.items())


def test_the_jobs_of_a_sweep_land_where_they_were_planned(tmp_path: Path) -> None:
    assert run(tmp_path, "-m", *QUICK[:-1], "num_samples=1", "gen_len=4,5", "resume=false") == 0
    [plan] = tmp_path.rglob("plan.json")
    assert {path.parent.name for path in tmp_path.rglob("result.json")} == {
        *json.loads(plan.read_text())
    }


def test_what_is_private_in_hydra_is_where_the_sweep_expects_it(tmp_path: Path) -> None:
    """A release of Hydra that moves it fails here, by name."""
    assert BasicSweeper.split_arguments([], max_batch_size=None) == [[[]]]
    failed = JobReturn(status=JobStatus.FAILED, cfg=OmegaConf.create({"gen_len": 4}))
    failed.return_value = ValueError("broken")
    config = OmegaConf.create({"hydra": {"runtime": {"output_dir": str(tmp_path / "job")}}})
    FailureCallback().on_job_end(config, failed)
    job = read_job(tmp_path / "job")
    assert (job.status, job.reason) == ("failed", "ValueError: broken")
