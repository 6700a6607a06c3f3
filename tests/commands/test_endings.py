"""However a command ends, it ends in a sentence: signals, full disks, impossible folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from submitit.slurm.slurm import SlurmJob

from eagle_bench.errors import in_a_sentence
from eagle_bench.launch.sweep import SWEEP
from eagle_bench.records.find import find_jobs
from eagle_bench.run import main
from tests.commands.cli import QUICK, run, start, told

SWEEP_ARGUMENTS = ("-m", *QUICK[:-1], "num_samples=2", "gen_len=4,5")
SLOW = ("-m", *QUICK[:-1], "num_samples=4", "gen_len=60,5", "stop=length", "repeats=20")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """The command in this process: its exit code and what it said on stderr."""
    for name, value in vars(SWEEP).items():
        monkeypatch.setattr(SWEEP, name, value)
    monkeypatch.setattr(SlurmJob, "watcher", SlurmJob.watcher)

    def call(*arguments: str) -> tuple[int, str]:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["run", *arguments])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), capfd.readouterr().err
        return 0, capfd.readouterr().err

    return call


@pytest.mark.parametrize("delay_s", [0.0, 0.1])
@pytest.mark.parametrize("words", ["eagle_bench run", "eagle_bench.run", "eagle_bench.report x"])
def test_ctrl_c_while_the_command_is_still_importing(words: str, delay_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", *words.split()],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.rpartition("|")[2].strip() == "eagle_bench":
            break
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    said = [line for line in process.stderr if not line.startswith("import time:")]
    assert process.wait(60) in (-signal.SIGINT, 128 + signal.SIGINT)
    assert len(said) == 1
    assert said[0].startswith("eagle_bench: interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_sweep_with_its_table_and_the_same_command_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, *SLOW)
    until = time.monotonic() + 120
    while not any(file.stat().st_size for file in tmp_path.glob("sweeps/*/*/generations.jsonl")):
        assert time.monotonic() < until, told(tmp_path)
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == 128 + number, told(tmp_path)
    assert "eagle_bench: interrupted; the same command goes on." in told(tmp_path)
    assert "Traceback" not in told(tmp_path)
    [table] = tmp_path.glob("sweeps/*/table.md")
    assert "missing: interrupted after" in table.read_text()
    assert run(tmp_path, *SLOW[:-1], "repeats=1") == 0


@pytest.mark.parametrize("room", [300, 2_000, 12_000])
def test_a_full_disk_in_a_sweep_is_told_in_sentences(tmp_path: Path, room: int) -> None:
    assert run(tmp_path, *SWEEP_ARGUMENTS, largest_file=room) in (1, 2)
    assert "File too large" in told(tmp_path)
    assert "Traceback" not in told(tmp_path)
    assert "UserWarning" not in told(tmp_path)
    assert run(tmp_path, *SWEEP_ARGUMENTS) == 0


@pytest.mark.parametrize("mode", [(), ("-m", "gen_len=4,5")])
@pytest.mark.parametrize("kind", ["a file", "in a file", "too long", "too deep", "a device"])
def test_a_folder_that_cannot_be_is_refused_in_one_sentence(
    tmp_path: Path, command, mode: tuple[str, ...], kind: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    folder = {
        "a file": file,
        "in a file": file / "below",
        "too long": tmp_path / ("long" * 100),
        "too deep": tmp_path.joinpath(*["deep" * 20] * 60),
        "a device": Path("/dev/null/below"),
    }[kind]
    code, said = command(*mode, *QUICK[:-1], f"output_dir={folder}")
    assert code == 2, said
    assert len(said.splitlines()) == 1, said
    assert said.startswith("eagle_bench: ")


def test_a_sweep_of_many_keys_has_a_folder_with_a_short_name(tmp_path: Path) -> None:
    keys = ("measure.warmup_max", "measure.bootstrap_resamples", "measure.confidence")
    many = ("measure.target_ci", "measure.max_repeats", "measure.budget_s", "decoding.draft_len")
    values = ("1,1", "100,100", "0.9,0.9", "0.1,0.1", "3,3", "9.0,9.0", "1,1")
    swept = [f"{key}={value}" for key, value in zip((*keys, *many), values, strict=True)]
    assert run(tmp_path, "-m", "tracker=none", "num_samples=1", "gen_len=4", *swept) == 0
    [sweep] = (tmp_path / "sweeps").iterdir()
    assert len(sweep.name) < 130


def test_a_sweep_that_slurm_cannot_take_leaves_no_job_to_be_missed(tmp_path: Path, command) -> None:
    arguments = ("hydra/launcher=slurm", "gen_len=4,5", f"output_dir={tmp_path}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        code, said = command("-m", *QUICK, *arguments)
    assert code == 2, said
    assert "not found on PATH" in said
    assert not list(tmp_path.rglob("plan.json"))


def test_no_interval_asks_for_more_resamples_than_memory_has(command) -> None:
    code, said = command("measure.bootstrap_resamples=1000000000")
    assert (code, "measure.bootstrap_resamples=1000000000 must lie in" in said) == (2, True), said


def test_memory_that_runs_out_over_the_intervals_names_the_setting(
    tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eagle_bench.measure import job

    def greedy(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 12 GiB for an array")

    monkeypatch.setattr(job, "summarise", greedy)
    code, said = command(*QUICK, "num_samples=1", f"output_dir={tmp_path}")
    assert code == 1, said
    assert "lower measure.bootstrap_resamples=100" in said
    [failed] = find_jobs([tmp_path]).jobs
    assert "out of memory over the intervals" in str(failed.reason)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device", "a.html"), "a.html: No space left on device."),
    ],
)
def test_commands_that_only_read_end_in_a_sentence_too(fault, sentence, capsys) -> None:
    @in_a_sentence
    def failing() -> int:
        raise fault

    assert failing() == 1
    assert sentence in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_fault(tmp_path: Path) -> None:
    for words in ("presets", "run --help"):
        shown = f"{sys.executable} -m eagle_bench {words} | head -1"
        done = subprocess.run(shown, shell=True, capture_output=True, text=True, check=False)
        assert done.stderr == ""
