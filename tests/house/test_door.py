"""The one door: its index, what it imports, and what it hands on."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from eagle_bench.__main__ import COMMANDS


def door(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eagle_bench", *words], capture_output=True, text=True, check=False
    )


def test_the_index_names_every_command_and_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "eagle_bench"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name, line in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert line in done.stdout
    assert not any(name in done.stderr for name in ("torch", "hydra", "pandas", "wandb"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_module_with_a_main(command: str) -> None:
    if command == "dashboard":
        pytest.importorskip("wandb_workspaces")
    assert callable(import_module(f"eagle_bench.{command}").main)


def test_a_first_word_that_is_no_command_is_an_argument_of_run() -> None:
    done = door("gen_len=0")
    assert done.returncode == 2
    assert done.stderr == "eagle_bench: gen_len=0 must be at least 1.\n"


def test_help_of_a_command_is_its_own() -> None:
    done = door("help", "compare")
    assert done.returncode == 0
    assert "--fail-if" in done.stdout


def test_presets_tell_a_purpose_for_each() -> None:
    done = door("presets")
    lines = [line for line in done.stdout.splitlines() if line.strip().partition(" ")[0].count("=")]
    conf = Path(__file__).parents[2] / "conf"
    groups = ("model", "drafter", "dataset", "decoding", "engine", "sweep", "experiment")
    assert len(lines) == sum(len(list((conf / group).glob("*.yaml"))) for group in groups)
    assert all(len(line.split()) > 2 for line in lines)
    assert "decoding=" not in door("presets", "model").stdout


def test_list_shows_what_is_on_the_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from eagle_bench.list import main
    from eagle_bench.records.store import RunFolder
    from tests.results.conftest import Simulation, plain_config

    simulation = Simulation()
    rows, _ = simulation.rows()
    with RunFolder(tmp_path / "one") as run:
        for row in rows:
            run.append(row)
        job = run.finish(simulation.summary(), plain_config(), {})
    assert main([str(tmp_path), "--json"]) == 0
    [entry] = json.loads(capsys.readouterr().out)
    assert entry["speedup"] == job.speedup["pooled"]
    assert entry["status"] == "complete"
    assert entry["size_bytes"] > 1000
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "generations.jsonl").touch()
    assert main([str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "complete" in shown
    assert "missing" in shown
    assert main([str(tmp_path / "nothing")]) == 2
