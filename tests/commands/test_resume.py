"""Measured once: finished jobs are skipped, interrupted ones go on, changed inputs are refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from eagle_bench import assets
from eagle_bench.results.collect import load_results
from tests.commands.cli import QUICK, run, start, told

SWEEP = ("-m", *QUICK[:-1], "num_samples=2", "gen_len=4,5,6,7,8")
KILLS = 10


def rows(folder: Path) -> pd.DataFrame:
    return load_results(folder).generations


def single(output: Path) -> Path:
    [folder] = (output / "runs").iterdir()
    return folder


def test_a_finished_job_is_skipped_and_resume_false_starts_over(tmp_path: Path) -> None:
    quick = (*(each for each in QUICK if each != "output=quiet"), "num_samples=2")
    assert run(tmp_path, *quick) == 0
    before = rows(single(tmp_path))
    assert run(tmp_path, *quick) == 0
    assert "nothing to measure" in told(tmp_path)
    assert rows(single(tmp_path))["started_s"].equals(before["started_s"])
    assert "it was measured with" not in told(tmp_path)
    file = single(tmp_path) / "result.json"
    result = json.loads(file.read_text())
    result["provenance"]["versions"]["torch"] = "1.0"
    file.write_text(json.dumps(result))
    assert run(tmp_path, *quick) == 0
    assert "it was measured with torch 1.0, not " in told(tmp_path)
    assert run(tmp_path, *quick, "resume=false") == 0
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert folders[1].name.startswith(folders[0].name)


def test_a_changed_head_under_the_same_path_is_refused(tmp_path: Path) -> None:
    head = shutil.copytree(assets.EAGLE3, tmp_path / "head")
    arguments = (*QUICK, "num_samples=1", "drafter=eagle3", f"drafter.path={head}")
    assert run(tmp_path, *arguments) == 0
    settings = json.loads((head / "config.json").read_text())
    (head / "config.json").write_text(json.dumps(settings, indent=1))
    assert run(tmp_path, *arguments) == 2
    assert "The drafter changed" in told(tmp_path)
    assert run(tmp_path, *arguments, "resume=false") == 0


def test_changed_files_behind_a_tilde_are_refused(tmp_path: Path) -> None:
    home = Path(os.path.expanduser("~"))
    with tempfile.TemporaryDirectory(dir=home) as folder:
        head = shutil.copytree(assets.EAGLE3, Path(folder) / "head")
        target = shutil.copytree(assets.TARGET, Path(folder) / "target")
        short = f"~/{Path(folder).relative_to(home)}"
        arguments = (
            *(*QUICK, "num_samples=1", "drafter=eagle3", "model=local"),
            *(f'drafter.path="{short}/head"', f'model.path="{short}/target"'),
        )
        assert run(tmp_path, *arguments) == 0
        for role, changed in (("target", target), ("drafter", head)):
            before = (changed / "config.json").read_text()
            (changed / "config.json").write_text(before + "\n")
            assert run(tmp_path, *arguments) == 2
            assert f"The {role} changed" in told(tmp_path)
            (changed / "config.json").write_text(before)


def test_a_changed_template_file_is_refused(tmp_path: Path) -> None:
    template = tmp_path / "own.jinja"
    template.write_text("{{ messages[0].content }}")
    arguments = (*QUICK, "num_samples=1", "drafter=random", f"chat_template={template}")
    assert run(tmp_path, *arguments) == 0
    template.write_text("Answer: {{ messages[0].content }}")
    assert run(tmp_path, *arguments) == 2
    assert "The chat template changed" in told(tmp_path)


def test_a_template_with_a_clock_is_rendered_once_and_told_on_resuming(tmp_path: Path) -> None:
    template = tmp_path / "clock.jinja"
    template.write_text("{{ strftime_now('%S%f') }} {{ messages[0].content }}")
    arguments = (*QUICK, "num_samples=1", "drafter=random", f"chat_template={template}")
    assert run(tmp_path, *arguments) == 0
    folder = single(tmp_path)
    summary = json.loads((folder / "result.json").read_text())["summary"]
    assert summary["lossless"]["exact_share"] == 1
    (folder / "result.json").unlink()
    assert run(tmp_path, *arguments) == 2
    assert "The rendered prompts changed" in told(tmp_path)


def test_rows_of_other_settings_in_a_named_folder_are_refused(tmp_path: Path) -> None:
    named = (*QUICK, "num_samples=1", f"hydra.run.dir={tmp_path / 'mine'}")
    assert run(tmp_path, *named) == 0
    (tmp_path / "mine" / "result.json").unlink()
    assert run(tmp_path, *named, "seed=1") == 2
    assert "another job's settings" in told(tmp_path)


def test_an_older_schema_is_refused_by_name(tmp_path: Path) -> None:
    arguments = (*QUICK, "num_samples=1")
    assert run(tmp_path, *arguments) == 0
    path = single(tmp_path) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 0}))
    assert run(tmp_path, *arguments) == 2
    assert "schema_version 0" in told(tmp_path)


def test_another_machines_rows_are_told(tmp_path: Path) -> None:
    arguments = (*QUICK, "num_samples=2")
    assert run(tmp_path, *arguments) == 0
    folder = single(tmp_path)
    (folder / "result.json").unlink()
    lines = (folder / "generations.jsonl").read_text().splitlines(keepends=True)
    (folder / "generations.jsonl").write_text("".join(lines[:2]))
    attempt = json.loads((folder / "attempts.jsonl").read_text())
    attempt["provenance"]["host"] = "elsewhere"
    (folder / "attempts.jsonl").write_text(json.dumps(attempt) + "\n")
    assert run(tmp_path, *arguments) == 0
    result = json.loads((folder / "result.json").read_text())
    assert result["summary"]["resumed_generations"] == 2
    assert [each["host"] for each in result["provenance"]["sessions"]] == ["elsewhere"]
    assert "mixed_machines" in [guard["name"] for guard in result["summary"]["guards"]]
    assert "resumed" in (folder / "table.md").read_text()
    assert len(rows(folder)) == 4


def test_ten_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    began_s = time.monotonic()
    assert run(tmp_path / "calm", *SWEEP) == 0, told(tmp_path / "calm")
    whole_s = time.monotonic() - began_s
    [calm] = (tmp_path / "calm" / "sweeps").iterdir()
    expected = said(calm)
    assert len(expected) == 5 * 2 * 2
    dice = random.Random(6)
    moments = [(tmp_path / str(n), dice.uniform(0.1, 0.9) * whole_s) for n in range(KILLS)]
    with ThreadPoolExecutor(2) as pool:
        killed = list(pool.map(lambda trial: kill_and_restart(*trial, expected), moments))
    assert sum(killed) >= KILLS // 2


def kill_and_restart(output: Path, after_s: float, expected: dict[tuple[object, ...], Any]) -> bool:
    """One trial; whether the kill came before the sweep had ended."""
    victim = start(output, *SWEEP)
    victim.join(after_s)
    running = victim.exitcode is None
    victim.kill()
    victim.join()
    half = finished(output)
    for plan in output.glob("sweeps/*/plan.json"):
        assert set(load_results(plan.parent).jobs["gen_len"]) == {4, 5, 6, 7, 8}
    assert run(output, *SWEEP) == 0, told(output)
    [folder] = (output / "sweeps").iterdir()
    results = load_results(folder)
    assert list(results.jobs["status"]) == ["complete"] * 5
    assert said(folder) == expected
    assert len(results.generations) == len(expected)
    assert half <= set(results.generations["started_s"])
    return running


def said(folder: Path) -> dict[tuple[object, ...], list[int]]:
    """Token ids of every generation of a sweep."""
    found = rows(folder)
    keys = zip(found["gen_len"], found["prompt_id"], found["arm"], found["repeat"], strict=True)
    return dict(zip(keys, map(list, found["token_ids"]), strict=True))


def finished(output: Path) -> set[float]:
    """When the arms of every finished pair began: these must not be measured again."""
    moments: set[float] = set()
    for path in output.glob("sweeps/*/*/generations.jsonl"):
        whole = path.read_text().rpartition("\n")[0].splitlines()
        seen: dict[str, list[float]] = {}
        for row in map(json.loads, whole):
            seen.setdefault(row["prompt_id"], []).append(row["started_s"])
        moments.update(moment for pair in seen.values() if len(pair) == 2 for moment in pair)
    return moments
