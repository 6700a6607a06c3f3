"""What a run tells while it works: a line per phase, the place in a sweep, nothing late."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType
from eagle_bench.engines.session import Loader
from eagle_bench.errors import UserError
from eagle_bench.launch.sweep import Sweep
from eagle_bench.machine.checkpoints import in_words
from eagle_bench.models.load import load_target, target_shape
from eagle_bench.results.progress import ProgressBar, duration
from tests.commands.cli import QUICK, call
from tests.commands.test_rerun import composed

FIRST_LINE_S = 2.0


def test_a_sweep_tells_its_jobs_and_their_phases(tmp_path: Path) -> None:
    settings = (*QUICK, "output=table", "num_samples=5", "measure.preflight=true")
    told = call(tmp_path, "-m", *settings, "decoding.draft_len=1,2").stderr
    said = [
        r"^job 1 of 2: ",
        r"^importing torch \.\.\. \d+\.\d s$",
        r"^importing the rest \.\.\. \d+\.\d s$",
        r"^loading the target embedded, 8\.13 MB \.\.\. \d+\.\d s$",
        r"^loading the drafter embedded, 698 kB \.\.\. \d+\.\d s$",
        r"^hashing the checkpoints \.\.\. ",
        r"^encoding 5 prompts \.\.\. ",
        r"^pre-flight on 8 prompts \.\.\. ",
        r"^warming up \.\.\. \d+\.\d s$",
        r"^intervals and grading \.\.\. ",
        r"^job 2 of 2, about \d+ seconds left: ",
    ]
    places = [re.search(line, told, re.MULTILINE) for line in said]
    assert None not in places, told
    starts = [place.start() for place in places if place]
    assert starts == sorted(starts), told
    assert told.count("loading the target") == 1


@pytest.mark.alone
def test_the_first_line_is_there_within_two_seconds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "eagle_bench", *QUICK, "output=table"]

    def seconds() -> float:
        began = time.monotonic()
        with subprocess.Popen(
            [*command, f"output_dir={tmp_path}"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            assert process.stderr is not None
            first = process.stderr.readline()
            took = time.monotonic() - began
            process.kill()
        assert first.startswith(b"run: "), first
        return took

    assert min(seconds() for _ in range(3)) < FIRST_LINE_S


def test_a_head_that_does_not_fit_is_refused_before_the_target_loads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eagle_bench.engines.session.load_target", None)
    with pytest.raises(UserError, match="99"):
        Loader().session(composed("drafter.aux_layers=[1,2,99]"))


def test_the_shape_of_a_target_is_that_of_the_loaded_one() -> None:
    import torch

    model = ModelConfig("embedded")
    shape, spec = target_shape(model), load_target(model, DType.auto, torch.device("cpu")).spec
    assert (shape.hidden_size, shape.vocab_size, shape.num_layers) == (
        spec.hidden_size,
        spec.vocab_size,
        spec.num_layers,
    )


def test_a_sweep_estimates_from_what_it_measured() -> None:
    sweep = Sweep(jobs=10)
    assert sweep.place(0) == "job 1 of 10"
    sweep.measured_s += [80.0, 100.0]
    assert sweep.place(2) == "job 3 of 10, about 12 minutes left"
    assert Sweep().place(2) == "job 3"
    assert [duration(each) for each in (40, 720, 12600)] == [
        "40 seconds",
        "12 minutes",
        "3.5 hours",
    ]


def test_a_phase_that_is_interrupted_ends_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar(quiet=False)
    with bar.phase("first"):
        bar.say("a remark")
    with pytest.raises(UserError), bar.phase("second"):
        raise UserError("refused")
    bar.say("after")
    silent = ProgressBar(quiet=True)
    with silent.phase("third"):
        silent.say("nothing")
    assert capfd.readouterr().err == "first ... \na remark\nsecond ... \nafter\n"


def test_a_checkpoint_has_its_size(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(1_600_000))
    assert (in_words(tmp_path), in_words(None)) == ("1.6 MB", "from the hub")
