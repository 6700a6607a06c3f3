"""`-m` wherever it stands, and where it was forgotten."""

from __future__ import annotations

import shlex
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.errors import UserError
from eagle_bench.launch.multirun import with_flag_first
from eagle_bench.run import main

PROGRAM = "eagle-bench run"
NEEDING = ("hydra/launcher=slurm", "sweep=draft_len", "+experiment=length_sweep")


@given(
    st.lists(st.sampled_from(["gen_len=8,9", "tracker=none", "seed=1"]), unique=True),
    st.sampled_from(["-m", "--multirun"]),
    st.data(),
)
def test_the_flag_may_stand_anywhere(rest: list[str], flag: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rest)))
    words = [PROGRAM, *rest[:place], flag, *rest[place:]]
    assert with_flag_first(words) == [PROGRAM, flag, *rest]


@pytest.mark.parametrize("needing", NEEDING)
def test_a_forgotten_flag_is_told_with_the_command_that_works(needing: str) -> None:
    words = [PROGRAM, "tracker=none", needing, "dataset.path=a b.jsonl"]
    with pytest.raises(UserError) as refused:
        with_flag_first(words)
    told, _, works = str(refused.value).removesuffix(").").partition(" needs -m (")
    assert told == needing
    assert shlex.split(works) == [*PROGRAM.split(), "-m", *words[1:]]


@pytest.mark.parametrize("words", [("sweep=none",), ("--cfg", "job", NEEDING[2]), ("gen_len=8",)])
def test_what_needs_no_flag_is_left_alone(words: tuple[str, ...]) -> None:
    assert with_flag_first([PROGRAM, *words]) == [PROGRAM, *words]


def test_the_command_refuses_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["eagle_bench/run.py", NEEDING[1]])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    told = capfd.readouterr().err
    assert told == (
        "eagle_bench: sweep=draft_len needs -m (python -m eagle_bench.run -m sweep=draft_len).\n"
    )
