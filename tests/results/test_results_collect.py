"""Collecting runs and sweeps from disk, faults included."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
import yaml

from eagle_bench import collect as command
from eagle_bench.errors import UserError
from eagle_bench.records.plan import write_plan
from eagle_bench.records.store import RunFolder
from eagle_bench.results.collect import collect, load_results, write_sweep


def plant_faults(root, config):
    """A failed, an interrupted, a never started, a corrupt, a half-written, an old job."""
    with RunFolder(root / "failed") as run:
        run.fail("out of memory", config(gen_len=300), {})
    shutil.copytree(root / "job0", root / "killed")
    (root / "killed" / "result.json").unlink()
    lines = (root / "killed" / "generations.jsonl").read_text().splitlines(keepends=True)
    (root / "killed" / "generations.jsonl").write_text("".join(lines[:5]) + lines[5][:40])
    (root / "queued" / ".hydra").mkdir(parents=True)
    (root / "queued" / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config(gen_len=400)))
    (root / "corrupt").mkdir()
    (root / "corrupt" / "result.json").write_bytes(b"\x80\x00 no json")
    (root / "half").mkdir()
    whole = (root / "job0" / "result.json").read_text()
    (root / "half" / "result.json").write_text(whole[: len(whole) // 2])
    (root / "old").mkdir()
    (root / "old" / "result.json").write_text(json.dumps(json.loads(whole) | {"schema_version": 0}))
    (root / "list").mkdir()
    (root / "list" / "result.json").write_text("[1, 2]")
    write_plan(root, {"job0": config(gen_len=50), "waiting": config(gen_len=500)})


def test_one_row_per_job_swept_keys_first(length_sweep):
    frame = collect([length_sweep])
    assert frame.columns[0] == "gen_len"
    assert frame["gen_len"].tolist() == [50, 100, 200]
    assert frame["status"].tolist() == ["complete"] * 3
    document = json.loads((length_sweep / "job1" / "result.json").read_text())
    row = frame[frame["gen_len"] == 50].iloc[0]
    assert row["speedup.pooled"] == document["summary"]["speedup"]["pooled"]
    assert row["arms.baseline.calls_per_token"] == 1.0
    assert row["config_hash"] == document["config_hash"]
    assert frame.attrs["skipped"] == []


def test_faults_are_rows_or_named_and_never_fatal(length_sweep, config):
    plant_faults(length_sweep, config)
    frame = collect([length_sweep])
    statuses = dict(zip(frame["folder"].str.rpartition("/")[2], frame["status"], strict=True))
    assert statuses == {
        "job0": "complete",
        "job1": "complete",
        "job2": "complete",
        "failed": "failed",
        "killed": "missing",
        "queued": "missing",
        "waiting": "missing",
    }
    reasons = frame.set_index("status")["reason"]
    assert reasons["failed"] == "out of memory"
    assert reasons["missing"].str.contains("interrupted after 5 generations").any()
    assert frame.loc[frame["status"] == "failed", "gen_len"].item() == 300
    assert frame.loc[frame["reason"] == "it has not started", "gen_len"].item() == 500
    skipped = frame.attrs["skipped"]
    assert len(skipped) == 4
    for folder, word in (("corrupt", "corrupt"), ("half", "half-written"), ("old", "version 0")):
        assert any(f"{folder}/result.json" in line and word in line for line in skipped)


def test_a_job_killed_before_its_config_was_written_is_not_forgotten(length_sweep, config):
    write_plan(length_sweep, {"begun": config(gen_len=700)})
    (length_sweep / "begun" / ".hydra").mkdir(parents=True)
    frame = collect([length_sweep])
    assert frame.loc[frame["gen_len"] == 700, "status"].item() == "missing"


def test_a_corrupt_plan_is_named(length_sweep):
    (length_sweep / "plan.json").write_text("{")
    frame = collect([length_sweep])
    assert len(frame) == 3
    assert "plan.json is corrupt or half-written" in frame.attrs["skipped"][0]


def test_a_folder_given_twice_counts_once(length_sweep):
    assert len(collect([length_sweep, length_sweep / "job0", length_sweep])) == 3


def test_hydra_folders_of_other_commands_are_no_jobs(length_sweep):
    (length_sweep / "train" / ".hydra").mkdir(parents=True)
    (length_sweep / "train" / ".hydra" / "config.yaml").write_text("training: {name: eagle3}\n")
    (length_sweep / ".hydra").mkdir()
    (length_sweep / ".hydra" / "config.yaml").write_text("decoding: {name: chain}\n")
    assert len(collect([length_sweep])) == 3


def test_a_sweep_on_disk(length_sweep, config):
    plant_faults(length_sweep, config)
    write_sweep(length_sweep)
    csv = pd.read_csv(length_sweep / "sweep.csv")
    parquet = pd.read_parquet(length_sweep / "sweep.parquet")
    assert list(csv.columns) == list(parquet.columns)
    assert len(csv) == len(parquet) == 7
    done = parquet[parquet["status"] == "complete"]
    assert done["gen_len"].tolist() == [50, 100, 200]
    assert csv["speedup.pooled"].dropna().tolist() == pytest.approx(done["speedup.pooled"].tolist())
    assert json.loads(done["arms.chain.per_position"].iloc[0])
    assert "| 100 |" in (length_sweep / "table.md").read_text()
    assert (length_sweep / "speedup_by_gen_len.png").read_bytes().startswith(b"\x89PNG")
    assert len(collect([length_sweep])) == 7


def test_mixed_settings_can_be_stored(tmp_path, finish, simulation):
    finish(tmp_path / "a", simulation(prompts=2), drafter__path=None, drafter__name="embedded")
    finish(tmp_path / "b", simulation(prompts=2), drafter__path="x", drafter__name="eagle3")
    finish(tmp_path / "c", simulation(prompts=2), drafter__path="y", drafter__name="eagle3")
    finish(tmp_path / "d", simulation(prompts=2), dataset__categories=["a", "b"])
    finish(tmp_path / "e", simulation(prompts=2), dataset__categories="math")
    frame = collect([tmp_path])
    assert list(frame.columns[:3]) == ["drafter.name", "drafter.path", "dataset.categories"]
    write_sweep(tmp_path)
    stored = pd.read_parquet(tmp_path / "sweep.parquet")
    assert set(stored["dataset.categories"].dropna()) == {'["a", "b"]', "math"}


def test_notebook_frames_hold_every_row(length_sweep, config):
    plant_faults(length_sweep, config)
    with (length_sweep / "job1" / "generations.jsonl").open("a") as file:
        file.write("no json\n")
    results = load_results(length_sweep)
    assert len(results.jobs) == 7
    assert results.generations.groupby("job").size().to_dict() == {
        "job0": 24,
        "job1": 24,
        "job2": 24,
        "killed": 5,
    }
    assert list(results.generations.columns[:2]) == ["job", "prompt_id"]
    assert set(results.rounds["job"]) == {"job0", "job1", "job2", "killed"}
    by_length = results.generations[results.generations["job"] == "job2"]
    assert (by_length["gen_len"] == 100).all()
    assert any("job1/generations.jsonl:25" in line for line in results.skipped)
    assert len(results.skipped) == 5


def test_the_command(length_sweep, config, capsys):
    plant_faults(length_sweep, config)
    out = length_sweep.parent / "all.parquet"
    assert command.main([str(length_sweep), "--output", str(out)]) == 0
    printed = capsys.readouterr()
    assert "Length" in printed.out
    assert "out of memory" in printed.out
    assert "4 result files were skipped" in printed.err
    assert len(pd.read_parquet(out)) == 7


@pytest.mark.parametrize("arguments", [["{}/nowhere"], ["{}"], ["{}", "--output", "x.xlsx"]])
def test_mistakes_of_the_user_exit_with_2(tmp_path, capsys, arguments):
    assert command.main([argument.format(tmp_path) for argument in arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_empty_folder_has_no_results(tmp_path):
    with pytest.raises(UserError, match="no results"):
        collect([tmp_path])
