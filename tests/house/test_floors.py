"""import-linter fails on every import that runs up, of every room on every line of the layers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]
LAYERS = [[name.strip() for name in line.split("|")] for line in CONTRACTS[0]["layers"]]
LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A package of the same rooms, each an empty module, held to our contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "eagle_bench"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in [name for layer in LAYERS for name in layer]:
        (package / f"{name}.py").touch()
    for folder in ("results", "launch"):
        (package / f"{folder}.py").unlink()
    for module in ("results/report", "results/tables", "results/charts", "launch/sweep"):
        file = package / f"{module}.py"
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.touch()
    return package


def plant(package: Path, room: str, line: str) -> None:
    file = package / f"{room}.py"
    (file if file.exists() else package / room / "__init__.py").write_text(f"{line}\n")


def test_the_rooms_of_today_are_all_named() -> None:
    package = ROOT / "eagle_bench"
    there = {p.stem for p in package.glob("*.py")} | {
        p.parent.name for p in package.glob("*/__init__.py")
    }
    assert there - {"__init__"} == {name for layer in LAYERS for name in layer}


def test_every_import_that_runs_up_or_sideways_fails(skeleton: Path) -> None:
    assert lint(skeleton.parent).returncode == 0
    above: list[str] = []
    forbidden: set[str] = set()
    for layer in LAYERS:
        for room in layer:
            barred = [*above, *(other for other in layer if other != room)]
            plant(skeleton, room, "\n".join(f"import eagle_bench.{name}" for name in barred))
            forbidden |= {f"eagle_bench.{room} -> eagle_bench.{name}" for name in barred}
        above += layer
    found = lint(skeleton.parent)
    assert found.returncode == 1
    assert "Every import goes down BROKEN" in found.stdout
    assert forbidden == set(re.findall(r"eagle_bench\.\w+ -> eagle_bench\.\w+", found.stdout))


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("measure", "import hydra", "Hydra is known to launch and the doors alone"),
        ("data", "import wandb", "W&B is known to results alone, and there to its tracker"),
        ("figures", "import torch", "Settings, rows and figures need no torch"),
        ("figures", "import eagle_bench.drafters", "Every import goes down"),
    ],
)
def test_a_room_may_not_know(skeleton: Path, room: str, line: str, contract: str) -> None:
    plant(skeleton, room, line)
    found = lint(skeleton.parent)
    assert found.returncode == 1
    assert f"{contract} BROKEN" in found.stdout


def test_a_notebook_reads_results_without_torch_and_hydra() -> None:
    script = (
        "import sys, eagle_bench.records.store, eagle_bench.figures.summary;"
        "from eagle_bench import load_results;"
        "assert not {'torch', 'hydra', 'transformers', 'wandb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
