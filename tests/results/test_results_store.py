"""The run folder: durable rows, atomic results, one writer."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from eagle_bench.errors import RunFailure, UserError
from eagle_bench.records import atomic
from eagle_bench.records.identity import config_hash
from eagle_bench.records.rowfiles import read_rounds, rounds_frame, write_parquet
from eagle_bench.records.store import RunFolder

WRITER = """
import itertools, sys
from eagle_bench.records.rows import GenerationRow
from eagle_bench.records.store import RunFolder

with RunFolder(sys.argv[1]) as run:
    for i in itertools.count():
        run.append(GenerationRow(
            prompt_id=f"p{i}", category="c", turn=0, arm="baseline", repeat=0, gen_len=9,
            new_tokens=9, stop_reason="length", prompt_tokens=3, token_ids=[i] * 9, wall_s=1.0,
            prefill_s=0.5, decode_s=0.5, target_calls=9, draft_calls=0, rounds=0,
            accept_lengths=[], overshoot=0, drafted=0, drafted_depth=0, accepted=0, peak_bytes=1))
        print(i, flush=True)
"""


def test_rows_come_back_as_they_were_written(tmp_path, simulation):
    rows, rounds = simulation(prompts=3, repeats=2).rows()
    with RunFolder(tmp_path) as run:
        run.append_rounds(rounds)
        for row in rows:
            run.append(row)
    with RunFolder(tmp_path) as run:
        assert run.read_rows() == rows
        assert run.read_rounds() == rounds


def test_the_take_that_counts_is_the_row_and_the_others_stand_beside(tmp_path, simulation):
    rows, rounds = simulation(prompts=2).rows()
    again = [replace(row, take=1, wall_s=9.0) for row in rows[:2]]
    again_rounds = [replace(row, take=1) for row in rounds if row.prompt_id == rows[0].prompt_id]
    with RunFolder(tmp_path) as run:
        run.append_rounds([*rounds, *again_rounds])
        for row in [*rows, *again]:
            run.append(row)
        assert run.read_rows() == rows
        assert run.read_rounds() == rounds
        assert run.read_retakes() == (again, again_rounds)
        run.settle([*again, *rows[2:]], rows[:2])
        assert run.read_rows() == [*again, *rows[2:]]
    with RunFolder(tmp_path) as run:
        assert sorted(row.take for row in run.read_rounds()) == sorted(
            row.take for row in [*again_rounds, *rounds[len(again_rounds) :]]
        )
        run.finish(simulation().summary(), {}, {})
        assert run.read_retakes()[0] == rows[:2]
        assert {row.take for row in run.read_retakes()[1]} == {0}
        assert len(run.read_rounds()) == len(rounds)


def test_sigkill_loses_no_finished_row(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    lines = [process.stdout.readline() for _ in range(25)]
    process.send_signal(signal.SIGKILL)
    finished = len(lines) + len(process.stdout.read().splitlines())
    process.wait()
    with RunFolder(tmp_path) as run:
        rows = run.read_rows()
    assert len(rows) in (finished, finished + 1)
    assert [row.prompt_id for row in rows] == [f"p{i}" for i in range(len(rows))]
    assert all(row.token_ids == [i] * 9 for i, row in enumerate(rows))


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_last_line_is_cut_and_writing_goes_on(tmp_path, simulation, cut):
    first, second, third = simulation(prompts=2).rows()[0][:3]
    with RunFolder(tmp_path) as run:
        run.append(first)
        run.append(second)
    path = tmp_path / "generations.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    with RunFolder(tmp_path) as run:
        assert run.read_rows() == [first]
        run.append(third)
        assert run.read_rows() == [first, third]
    assert [json.loads(line)["arm"] for line in path.read_text().splitlines()] == [
        first.arm,
        third.arm,
    ]


def test_finish_writes_every_file_of_the_metrics_page(tmp_path, finish, simulation, config):
    sim = simulation(prompts=6)
    finish(tmp_path, sim)
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["schema_version"] == 1
    assert document["status"] == "complete"
    assert document["config"] == config()
    assert document["summary"]["arms"]["baseline"]["calls_per_token"] == 1.0
    rows, rounds = sim.rows()
    generations = pd.read_parquet(tmp_path / "generations.parquet")
    assert list(generations.columns) == list(asdict(rows[0]))
    assert generations["wall_s"].tolist() == [row.wall_s for row in rows]
    assert generations["accept_lengths"].map(list).tolist() == [r.accept_lengths for r in rows]
    saved = pd.read_parquet(tmp_path / "rounds.parquet")
    assert len(saved) == len(rounds)
    assert saved["phases_s.verify"].notna().sum() == sum(bool(r.phases_s) for r in rounds)
    assert not (tmp_path / "rounds.jsonl").exists()
    with RunFolder(tmp_path) as run:
        assert run.read_rounds() == rounds


def test_rounds_written_before_they_carried_seconds_are_read(tmp_path, simulation):
    rounds = [replace(each, seconds=0.25) for each in simulation(prompts=1).rows()[1]]
    path = tmp_path / "rounds.parquet"
    write_parquet(rounds_frame(rounds), path)
    assert read_rounds(tmp_path) == (rounds, [])
    pd.read_parquet(path).drop(columns="seconds").to_parquet(path)
    assert read_rounds(tmp_path) == ([replace(each, seconds=None) for each in rounds], [])


def test_a_generation_measured_twice_counts_once(tmp_path, simulation, config):
    first, second = simulation(prompts=1).rows()[0]
    again = replace(first, wall_s=9.0)
    with RunFolder(tmp_path) as run:
        for row in (first, second, again):
            run.append(row)
        assert run.read_rows() == [again, second]
        run.finish({"gen_len": 60}, config(), {})
    assert len((tmp_path / "generations.jsonl").read_text().splitlines()) == 2
    assert len(pd.read_parquet(tmp_path / "generations.parquet")) == 2


def test_complete_only_with_the_same_config(tmp_path, finish, simulation, config):
    assert not _is_complete(tmp_path, config())
    finish(tmp_path, simulation(prompts=2))
    assert _is_complete(tmp_path, config())
    assert _is_complete(tmp_path, config(tracker__name="wandb", output_dir="elsewhere"))
    assert not _is_complete(tmp_path, config(gen_len=61))
    assert not _is_complete(tmp_path, config(decoding__draft_len=5))


def test_failed_and_corrupt_results_are_not_complete(tmp_path, config):
    with RunFolder(tmp_path) as run:
        run.fail("out of memory", config(), {})
    document = json.loads((tmp_path / "result.json").read_text())
    assert (document["status"], document["reason"]) == ("failed", "out of memory")
    assert not _is_complete(tmp_path, config())
    (tmp_path / "result.json").write_text('{"schema_version": 1, "sta')
    assert not _is_complete(tmp_path, config())


def _is_complete(folder, config) -> bool:
    with RunFolder(folder) as run:
        return run.complete_result(config_hash(config)) is not None


def test_numbers_json_does_not_know(tmp_path, config):
    with RunFolder(tmp_path) as run:
        run.finish({"a": float("nan"), "b": np.float32(0.5), "c": [np.int64(3)]}, config(), {})
    summary = json.loads((tmp_path / "result.json").read_text())["summary"]
    assert summary == {"a": None, "b": 0.5, "c": [3]}


def test_a_second_process_is_refused_until_the_first_ends(tmp_path):
    script = (
        "import sys, time\nfrom eagle_bench.records.store import RunFolder\n"
        "with RunFolder(sys.argv[1]):\n    print('in', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "in\n"
    with pytest.raises(UserError, match="Another process"):
        RunFolder(tmp_path)
    process.kill()
    process.wait()
    RunFolder(tmp_path).close()


def test_an_output_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Cannot make output folder"):
        RunFolder(tmp_path / "file" / "run")
    with pytest.raises(UserError, match="Cannot make output folder"):
        RunFolder("/proc/eagle_bench")


def test_no_room_left_is_a_run_failure(tmp_path, simulation):
    rows, rounds = simulation(prompts=2).rows()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunFolder(tmp_path) as run:
        run.append(rows[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
        try:
            with pytest.raises(RunFailure, match=r"rounds\.jsonl: File too large"):
                run.append_rounds(rounds)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with RunFolder(tmp_path) as run:
        assert run.read_rows() == [rows[0]]
        assert run.read_rounds() == []


def test_a_crash_while_replacing_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")

    def crash():
        with atomic.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_rows_are_on_disk_at_once(tmp_path, simulation):
    row = simulation(prompts=1).rows()[0][0]
    with RunFolder(tmp_path) as run:
        run.append(row)
        assert json.loads((tmp_path / "generations.jsonl").read_text()) == asdict(row)
