"""`drafter=python`: a class of the user's own drafts, and what cannot be used is a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eagle_bench.config.drafter import PythonConfig
from eagle_bench.drafters.python import named_drafter
from eagle_bench.errors import UserError
from eagle_bench.machine.checkpoints import fingerprint
from eagle_bench.run import main
from tests.commands.cli import QUICK
from tests.training.conftest import call

MODULE = """
from eagle_bench.drafters.copying import CopyingDrafter

class Last(CopyingDrafter):
    name = "last"

    def __init__(self, target, times):
        self.times = times
        super().__init__(target.spec.device)

    def continuation(self, row):
        return self.contexts[row][-1:] * self.times
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return file


def test_a_run_drafts_with_it_and_rests_on_its_code(module: Path, tmp_path: Path) -> None:
    own = ("drafter=python", "drafter.source=mine:Last", "drafter.settings.times=3")
    given = (*QUICK, *own, "drafter.branches=false", "num_samples=2", f"output_dir={tmp_path}/out")
    assert call(main, *given) == 0
    [result] = (tmp_path / "out").rglob("result.json")
    told = json.loads(result.read_text())
    assert told["summary"]["lossless"]["exact_share"] == 1
    assert told["provenance"]["checkpoints_sha256"]["drafter code"] == fingerprint(module)
    assert call(main, *given, "decoding=tree") == 2


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        ("mine:Last", {"time": 3}, "mine:Last cannot be used: missing a required argument"),
        ("mine:First", {}, "mine:First cannot be used: module 'mine' has no attribute 'First'"),
        ("mine", {}, "cannot be used"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(
    module: Path, source: str, settings: dict[str, Any], message: str
) -> None:
    config = PythonConfig(name="python", source=source, settings=settings)
    with pytest.raises(UserError, match=message):
        named_drafter(config, target=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["no.such:Thing", "", ":Thing"])
def test_a_module_that_is_not_there_is_told_before_anything_loads(source: str) -> None:
    with pytest.raises(UserError, match="Python finds no module"):
        PythonConfig(name="python", source=source).checkpoints()
