"""The end of a multirun, shown with the settings of its command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from eagle_bench import schema
from eagle_bench.config import Output
from eagle_bench.run import main
from eagle_bench.sweep import SWEEP, SweepCallback


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
