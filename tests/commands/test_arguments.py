"""Values that Hydra's grammar cannot read, and terminals that cannot print the table."""

from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from eagle_bench import __version__
from eagle_bench.errors import print_whatever_it_can_show
from eagle_bench.launch.arguments import how_to_quote
from eagle_bench.run import main
from tests.commands.cli import call


@pytest.mark.parametrize(
    "value",
    [
        *("~/models/x", "ck/epoch=0-step=10", "/data/p (1).jsonl", "/data/模型/q", "/a,b/c"),
        *("/a{x}/c", "/it's/c", "/a#b", "node[03,17]", 'say "a, b"', """it's "both" """),
    ],
)
def test_the_quoted_argument_reads_as_the_value(value: str) -> None:
    sentence = how_to_quote(f"drafter.path={value}")
    assert sentence.startswith(f"the argument drafter.path={value} needs quotes")
    _, typed = sentence.removesuffix(".").split(" around its value: ")
    [argument] = shlex.split(typed)
    [override] = OverridesParser.create().parse_overrides([argument])
    assert override.value() == value


def test_a_list_is_quoted_item_by_item() -> None:
    typed = how_to_quote("tracker.tags=[lr=1e-5, 'b c',é]").partition(" its items: ")[2]
    [argument] = shlex.split(typed.removesuffix("."))
    [override] = OverridesParser.create().parse_overrides([argument])
    assert override.value() == ["lr=1e-5", "b c", "é"]


def test_what_no_quotes_can_mend() -> None:
    assert how_to_quote("模型=x") == "the argument 模型=x is not KEY=VALUE."


@pytest.mark.parametrize("argument", ["drafter.path=a=b", "drafter.path=/a,b", "model.path=~/x"])
def test_hydras_refusal_is_told_by_its_argument(tmp_path: Path, argument: str) -> None:
    done = call(tmp_path, argument)
    assert done.returncode == 2
    assert done.stderr == f"eagle_bench: {how_to_quote(argument)}\n"


def test_a_terminal_without_the_character_shows_a_question_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    print_whatever_it_can_show()
    print("tau é 3.1", flush=True)
    assert terminal.buffer.getvalue() == b"tau ? 3.1\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gen_lenn=4", "gen_len"),
        ("draft_len=4", "decoding.draft_len"),
        ("decoding.draft_length=4", "decoding.draft_len"),
        ("zzzzzz=4", None),
    ],
)
def test_an_unknown_key_is_answered_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    typed: str,
    meant: str | None,
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", typed])
    with pytest.raises(SystemExit, match="2"):
        main()
    [told] = capfd.readouterr().err.splitlines()
    assert told.endswith(f"Did you mean {meant}?" if meant else "not in 'RunConfig'."), told


def test_the_version_is_ours(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "--version"])
    main()
    assert capfd.readouterr().out == f"eagle_bench {__version__}\n"
