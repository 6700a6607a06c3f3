"""A run has a name, and a command ends in time."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from eagle_bench.config.values import check_name
from eagle_bench.errors import OutOfTime, UserError
from eagle_bench.records.find import find_jobs
from eagle_bench.records.job import Job
from eagle_bench.results.progress import ProgressBar
from eagle_bench.results.tables.jobs import job_table
from eagle_bench.results.trackers.curves import run_name
from tests.commands.cli import QUICK, call


def test_a_name_leads_the_folder_and_stays_out_of_the_hash(tmp_path: Path) -> None:
    settings = (*QUICK, "output=table", "num_samples=1")
    for name in ("name=null", "name='first try'"):
        done = call(tmp_path, *settings, name)
        assert done.returncode == 0, done.stderr
    plain, named = sorted((tmp_path / "runs").iterdir(), key=lambda folder: len(folder.name))
    assert named.name == f"first try-{plain.name}"
    one, other = (find_jobs([folder]).jobs[0] for folder in (plain, named))
    assert one.config_hash == other.config_hash
    assert done.stdout.startswith("first try: speculative decoding")
    assert run_name(other) == f"first try-{run_name(one)}"


def test_the_runs_of_an_engine_are_named_after_it() -> None:
    def named(engine: str) -> str:
        return run_name(
            Job(Path("x"), "complete", config={"engine": {"name": engine}, "gen_len": 8})
        )

    assert (named("own"), named("vllm")) == ("8", "vllm-8")


def test_names_that_differ_are_a_column() -> None:
    jobs = [Job(Path(name), "missing", config={"name": name, "gen_len": 8}) for name in ("a", "b")]
    table = job_table(jobs)
    assert (table.columns[:2], table.labels) == (("Name", "Length"), 2)
    assert [row.cells[:2] for row in table.rows] == [("a", "8"), ("b", "8")]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "x" * 61, "a\nb", "a\x1bb", "a:b"])
def test_a_name_that_no_folder_can_have_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="must begin with a letter or digit"):
        check_name(name)


def test_a_refused_name_is_told_in_a_sentence(tmp_path: Path) -> None:
    done = call(tmp_path, *QUICK, "name=a/b")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_sweep_ends_in_time_and_the_same_command_goes_on(tmp_path: Path) -> None:
    settings = ("-m", *QUICK, "gen_len=64,65", "num_samples=12", "output=table")
    late = call(tmp_path, *settings, "limit_s=1")
    assert late.returncode == 1
    assert "eagle_bench: limit_s is over; the same command goes on." in late.stderr
    assert "missing" in late.stdout
    done = call(tmp_path, *settings)
    assert done.returncode == 0, done.stderr
    [sweep] = (tmp_path / "sweeps").iterdir()
    assert [job.status for job in find_jobs([sweep]).jobs] == ["complete", "complete"]


def test_no_repeat_begins_once_the_time_is_over() -> None:
    ProgressBar(quiet=True, until_s=math.inf).start(1, 0)
    with pytest.raises(OutOfTime):
        ProgressBar(quiet=True, until_s=time.monotonic() - 1).start(1, 0)
