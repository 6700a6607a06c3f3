"""`eagle-bench plan`: what a job would need, told as the job then finds it, with nothing run."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import torch

from eagle_bench.decoding.build import build_speculative
from eagle_bench.engines.session import Loader, Sketcher
from eagle_bench.measure.cost.device_speed import DeviceSpeed
from eagle_bench.measure.cost.roofline import step_work
from eagle_bench.measure.memory import held_bytes
from eagle_bench.measure.outline import Outline, outline
from eagle_bench.plan import main
from tests.commands.cli import QUICK, call
from tests.commands.test_rerun import composed

SPEED = DeviceSpeed(bytes_s=1e9, flop_s=1e17)
"""So fast at computing that reading alone counts."""


class Deaf:
    def say(self, line: str) -> None: ...

    def phase(self, what: str) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture(autouse=True)
def speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eagle_bench.measure.cost.roofline.device_speed", lambda *_: SPEED)


def planned(*settings: str) -> Outline:
    return outline(composed(*settings), Sketcher(), Deaf())


@pytest.mark.parametrize(
    "settings",
    [
        ("drafter=embedded", "decoding=tree"),
        ("drafter=embedded_dflash",),
        ("drafter=embedded_p_eagle", "batch_size=3"),
        ("drafter=draft_model", "dtype=bfloat16"),
        ("drafter=prompt_lookup", "decoding=adaptive"),
    ],
)
def test_shapes_alone_count_what_loaded_models_hold(settings: tuple[str, ...]) -> None:
    found = planned(*settings)
    config = composed(*settings, "model.packing=off")
    session = Loader().session(config)
    arm = build_speculative(config, session.target, session.drafter.drafter)
    longest = 100
    sketch = Sketcher().session(config)
    assert session.target.spec.device == torch.device("cpu")
    assert sketch.target.spec.device == torch.device("meta")
    held, drawn = (
        held_bytes(config, each.target, each.drafter.drafter, arm, longest)
        for each in (session, sketch)
    )
    assert drawn == held
    assert step_work(sketch.target) == step_work(session.target)
    assert found.memory["target_weight_bytes"] == session.target.spec.weight_bytes


def test_the_seconds_are_those_of_reading_what_a_step_reads() -> None:
    found = planned("num_samples=2", "gen_len=10", "repeats=3", "decoding=chain_2")
    assert (found.prompts, found.generations) == (2, 12)
    assert found.step_s == pytest.approx(found.step_read_bytes / SPEED.bytes_s)
    prefill_s = (found.step_read_bytes - found.step_read_bytes % 1) / SPEED.bytes_s
    answers = 6
    assert found.most_s == pytest.approx(answers * (2 * prefill_s + 20 * found.step_s), rel=0.02)
    rounds = 10 / 3
    assert found.least_s == pytest.approx(
        answers * (2 * prefill_s + (10 + rounds) * found.step_s), rel=0.02
    )


def test_a_sweep_is_planned_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["-m", "tracker=none", "gen_len=20,5000", "drafter=random,embedded"]
    assert main([*settings, f"output_dir={tmp_path}", "name=mine"]) == 2
    shown = capsys.readouterr().out
    assert "4 jobs in" in shown
    assert shown.count("refused") == 2
    assert shown.count("go beyond the target's 2048 positions") == 2
    assert not list(tmp_path.iterdir())


def test_the_planned_folder_is_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = (*QUICK[:1], *QUICK[3:], "num_samples=1", "output=json")
    words = [*settings, f"output_dir={tmp_path}"]
    assert main(words) == 0
    [before] = json.loads(capsys.readouterr().out)["jobs"]
    assert before["state"] == "new"
    assert call(tmp_path, *settings).returncode == 0
    assert (Path(before["folder"]) / "result.json").exists()
    assert main(words) == 0
    [after] = json.loads(capsys.readouterr().out)["jobs"]
    assert after == before | {"state": "complete"}


def test_the_script_for_slurm_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slurm = ["hydra/launcher=slurm", "hydra.launcher.partition=gpu", "hydra.launcher.mem_gb=7"]
    words = ["-m", *slurm, "gen_len=20,30", "tracker=none", f"output_dir={tmp_path}"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    options = ("partition=gpu", "mem=7GB", "array=0-1%2", "time=240", "requeue")
    assert [each for each in options if f"#SBATCH --{each}" not in shown] == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gen_leng=3"], "Did you mean gen_len?"),
        (["sweep=gen_len"], "needs -m"),
        (["model=local", "model.path=/nowhere"], "/nowhere"),
        (["tracker.mode=x"], "tracker.mode=x must be one of"),
    ],
)
def test_what_a_run_would_refuse_is_refused(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, f"output_dir={tmp_path}"]) == 2
    said = capsys.readouterr()
    assert told in said.out + said.err
    assert "Traceback" not in said.err
