"""The shared wrapper of the Hydra commands: exit codes, one sentence, instant help."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import call

from eagle_bench.config.training import TargetTrainingConfig, TrainConfig
from eagle_bench.errors import RunFailure, UserError
from eagle_bench.launch.command import hydra_command

BUDGET = 10.0
"""CPU time over that of importing what composes the settings, on this machine, now."""
OUTCOMES = {1: UserError("seed is 1."), 2: RunFailure("seed is 2."), 3: KeyError("seed")}


@pytest.fixture
def seen() -> list[TrainConfig]:
    """The configs that reached the task."""
    return []


@pytest.fixture
def main(seen: list[TrainConfig]) -> Callable[[], None]:
    """A command whose seed says how it ends."""

    def task(config: TrainConfig) -> None:
        seen.append(config)
        if config.seed in OUTCOMES:
            raise OUTCOMES[config.seed]

    return hydra_command(task, "train")


def test_hands_over_the_dataclass(
    main: Callable[[], None], seen: list[TrainConfig], tmp_path: Path
) -> None:
    assert call(main, f"output_dir={tmp_path}", "training.tokens=77") == 0
    (config,) = seen
    assert isinstance(config, TrainConfig)
    assert isinstance(config.training, TargetTrainingConfig)
    assert config.training.tokens == 77
    assert config.output_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("sed=1", "Could not override 'sed'. Key 'sed' not in 'TrainConfig'."),
        ("training.typo=1", "Key 'typo' not in 'TargetTrainingConfig'."),
        ("+training.typo=1", "Key 'typo' not in 'TargetTrainingConfig'."),
        ("seed=abc", "Value 'abc' of type 'str' could not be converted to Integer."),
        ("device=null", "field 'device' is not Optional."),
        (
            "training=nope",
            "no config training/nope; choose one of dflash, draft_model, eagle3, p_eagle, shallow, "
            "target.",
        ),
        ("seed=[", "the argument seed=[ needs quotes around its value: 'seed=\"[\"'."),
        ("seed=${nowhere}", "Interpolation key 'nowhere' not found."),
        ("training.tokens=0", "training.tokens=0 must be at least 1."),
        ("training.num_layers=5", "training.num_layers=5 must be at least 7."),
        ("output_dir=/dev/null/x", "/dev/null/x: Not a directory."),
        ("--resolve", "The --resolve flag can only be used"),
        ("--config-name=nope", "Cannot find primary config 'nope'."),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    override: str,
    sentence: str,
    main: Callable[[], None],
    seen: list[TrainConfig],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(main, f"output_dir={tmp_path}", override) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("eagle_bench: ")
    assert sentence in said[0]
    assert not seen


@pytest.mark.parametrize(
    ("seed", "code", "sentence"),
    [
        (0, 0, ""),
        (1, 2, "eagle_bench: seed is 1.\n"),
        (2, 1, "eagle_bench: seed is 2.\n"),
    ],
)
def test_a_job_ends_with_its_code(
    seed: int,
    code: int,
    sentence: str,
    main: Callable[[], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(main, f"output_dir={tmp_path}", f"seed={seed}") == code
    assert capsys.readouterr().err == sentence


def test_a_bug_shows_where_it_is(
    main: Callable[[], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(main, f"output_dir={tmp_path}", "seed=3") == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "raise OUTCOMES[config.seed]" in said
    assert said.endswith("eagle_bench: KeyError: 'seed'.\n")


@pytest.mark.parametrize(
    ("seeds", "code"),
    [("0,4", 0), ("1,0", 1), ("1,1", 2), ("3,1,0", 1)],
)
def test_a_failed_job_stops_no_other(
    seeds: str, code: int, main: Callable[[], None], seen: list[TrainConfig], tmp_path: Path
) -> None:
    assert call(main, "-m", f"output_dir={tmp_path}", f"seed={seeds}") == code
    assert [config.seed for config in seen] == [int(seed) for seed in seeds.split(",")]


def test_a_value_that_fails_its_check_stops_only_its_job(
    main: Callable[[], None], seen: list[TrainConfig], tmp_path: Path
) -> None:
    assert call(main, "-m", f"output_dir={tmp_path}", "training.tokens=0,5,-1,6") == 1
    assert [config.training.tokens for config in seen] == [5, 6]


def test_a_sweep_with_an_unknown_choice_starts_no_job(
    main: Callable[[], None], seen: list[TrainConfig], tmp_path: Path
) -> None:
    assert call(main, "-m", f"output_dir={tmp_path}", "training=target,nope") == 2
    assert not seen


def test_an_interrupt_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(config: TrainConfig) -> None:
        raise KeyboardInterrupt

    assert call(hydra_command(interrupted, "train"), f"output_dir={tmp_path}") == 130
    assert capsys.readouterr().err == "eagle_bench: interrupted.\n"


@pytest.mark.alone
@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job", "--resolve"]])
def test_answers_at_once_without_torch(arguments: list[str], tmp_path: Path) -> None:
    _, least_s = timed("-c", "import hydra.main, hydra._internal.hydra, omegaconf")
    done, cpu_s = timed("-X", "importtime", "-m", "eagle_bench.train", *arguments)
    assert re.search(r"num_layers(=|: )20\n", done.stdout)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "eagle_bench.config.training" in imported
    assert not imported & {"torch", "transformers", "numpy", "pandas", "matplotlib"}
    assert cpu_s < BUDGET * least_s


def timed(*arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """A Python program, and the CPU seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
