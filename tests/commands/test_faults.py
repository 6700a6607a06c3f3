"""Faults from outside: a disk that is full, a folder that cannot be written, two at once."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pandas as pd

from eagle_bench.results.collect import load_results
from tests.commands.cli import QUICK, run, start, told

LONG = (*QUICK[:-1], "num_samples=3", "gen_len=100", "stop=length", "decoding.draft_len=1")
SWEEP = ("-m", *QUICK[:-1], "num_samples=2", "gen_len=4,5")


def test_a_full_disk_is_told_and_what_was_measured_is_kept(tmp_path: Path) -> None:
    assert run(tmp_path, *LONG, largest_file=60_000) == 1
    assert "rounds.jsonl: File too large" in told(tmp_path)
    [folder] = (tmp_path / "runs").iterdir()
    kept = [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]
    assert 0 < len(kept) < 6
    assert run(tmp_path, *LONG) == 0
    rows = load_results(folder).generations
    assert len(rows) == 6
    pairs = pd.DataFrame(kept).groupby("prompt_id").filter(lambda pair: len(pair) == 2)
    assert set(pairs["started_s"]) <= set(rows["started_s"])


def test_an_output_folder_that_cannot_be_made_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run(tmp_path, *QUICK, f"hydra.run.dir={tmp_path / 'file' / 'run'}") == 2
    assert "Not a directory" in told(tmp_path)


def test_an_output_folder_that_goes_away_ends_the_run_at_the_next_row(tmp_path: Path) -> None:
    process = start(tmp_path, *LONG, "repeats=50")
    rows = tmp_path / "runs"
    until = time.monotonic() + 120
    while not any(file.stat().st_size for file in rows.glob("*/generations.jsonl")):
        assert time.monotonic() < until, told(tmp_path)
        time.sleep(0.02)
    shutil.rmtree(rows)
    process.join(60)
    assert process.exitcode == 1, told(tmp_path)
    assert "went away while the run wrote to it" in told(tmp_path)
    assert "Traceback" not in told(tmp_path)


def test_a_batch_is_no_larger_than_the_prompts(tmp_path: Path) -> None:
    arguments = [each for each in QUICK if each != "output=quiet"]
    assert run(tmp_path, *arguments, "num_samples=3", "batch_size=1000000") == 0
    assert "batch_size=1000000 is more than the prompts: all 3 run at once" in told(tmp_path)
    [folder] = (tmp_path / "runs").iterdir()
    assert set(load_results(folder).generations["batch_size"]) == {3}
    assert run(tmp_path, *arguments, "num_samples=3", "batch_size=1000000") == 0
    assert "nothing to measure" in told(tmp_path), "what was asked for is the job's identity"


def test_settings_refused_in_a_sweep_are_in_its_table_with_the_reason(tmp_path: Path) -> None:
    assert run(tmp_path, *SWEEP[:-1], "gen_len=4,0") == 1
    [sweep] = (tmp_path / "sweeps").iterdir()
    jobs = pd.read_csv(sweep / "sweep.csv").set_index("gen_len")
    assert jobs["status"].to_dict() == {0: "failed", 4: "complete"}
    assert "must be at least 1" in jobs["reason"][0]


def test_the_same_sweep_twice_at_once_never_mixes(tmp_path: Path) -> None:
    both = [start(tmp_path, *SWEEP) for _ in range(2)]
    for process in both:
        process.join(120)
    assert {process.exitcode for process in both} <= {0, 1, 2}
    assert run(tmp_path, *SWEEP) == 0
    [sweep] = (tmp_path / "sweeps").iterdir()
    results = load_results(sweep)
    assert list(results.jobs["status"]) == ["complete"] * 2
    keys = ["gen_len", "prompt_id", "arm", "repeat"]
    assert len(results.generations) == 2 * 2 * 2
    assert not results.generations.duplicated(keys).any()
    assert "Traceback" not in told(tmp_path)
