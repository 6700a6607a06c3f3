"""Result folders that something damaged: named, never a traceback, never a gate that passes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eagle_bench import collect, compare, report, rerun
from eagle_bench import list as listing
from eagle_bench.config.values import plain
from eagle_bench.records.job import SCHEMA_VERSION, UnreadableResult, read_job
from tests.commands.test_rerun import composed
from tests.results.conftest import Finish, Simulation

GATE = ("--fail-if", "tau < 0.5")
GONE = object()
WRONG = (GONE, None, "x", 7, [1], {"a": 1}, True)
SPOILT = (b"", b"\0" * 50, b"\xff\xfe\x80", b"[]", b"null", b"3", b"[" * 100_000, b"1" * 6000)
DAMAGED = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to all that a document holds; of a list its first item stands for all."""
    parts = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        parts = list(enumerate(value))[:1]
    inner = [place for key, item in parts for place in places(item, (*here, key))]
    return [here, *inner] if here else inner


def damaged(document: dict[str, Any], place: tuple[Any, ...], wrong: Any) -> dict[str, Any]:
    """A copy with another value at `place`."""
    changed = copy.deepcopy(document)
    holder: Any = changed
    for key in place[:-1]:
        holder = holder[key]
    if wrong is GONE:
        del holder[place[-1]]
    else:
        holder[place[-1]] = wrong
    return changed


@pytest.fixture
def sides(tmp_path: Path, finish: Finish) -> tuple[Path, Path]:
    """Two equal sweeps of two lengths."""
    for side in ("a", "b"):
        for gen_len in (20, 40):
            finish(tmp_path / side / str(gen_len), Simulation(prompts=6, gen_len=gen_len))
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture
def recorded(tmp_path: Path, finish: Finish) -> tuple[Path, Path]:
    """Two equal runs with all the settings that a run records."""
    settings = plain(composed())
    for side in ("a", "b"):
        finish(tmp_path / side, Simulation(prompts=5, gen_len=20), **settings)
    return tmp_path / "a", tmp_path / "b"


@DAMAGED
@given(data=st.data())
def test_wrong_values_give_no_traceback_and_no_gate_that_passes(
    recorded: tuple[Path, Path], data: st.DataObject
) -> None:
    a, b = map(str, recorded)
    file = recorded[1] / "result.json"
    whole = file.read_text()
    document = json.loads(whole)
    place = data.draw(st.sampled_from(places(document)))
    wrong = data.draw(st.sampled_from(WRONG))
    file.write_text(json.dumps(damaged(document, place, wrong)))
    try:
        assert [command.main([b]) for command in (collect, listing)] == [0, 0]
        assert report.main([b]) in (0, 2)
        code = compare.main([a, b, *GATE])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("eagle_bench.measure.job.run_job", lambda *_: read_job(recorded[0]))
            again = rerun.main([str(file)])
        assert again in (0, 1, 2)
        try:
            read_job(file.parent)
        except UnreadableResult:
            assert (code, again) == (1, 2)
    finally:
        file.write_text(whole)


def other_schema(folder: Path) -> None:
    text = (folder / "result.json").read_text()
    old, new = (f'"schema_version": {each}' for each in (SCHEMA_VERSION, SCHEMA_VERSION + 1))
    (folder / "result.json").write_text(text.replace(old, new))


def cut(folder: Path) -> None:
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(text[: len(text) // 2])


def failed(folder: Path) -> None:
    document = json.loads((folder / "result.json").read_text())
    changed = document | {"status": "failed", "reason": "out of memory", "summary": {}}
    (folder / "result.json").write_text(json.dumps(changed))


def missing(folder: Path) -> None:
    (folder / "result.json").unlink()


@pytest.mark.parametrize("damage", [other_schema, cut, failed, missing])
@pytest.mark.parametrize("side", [0, 1])
def test_a_job_without_figures_fails_every_gate_by_name(
    sides: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    damage: Any,
    side: int,
) -> None:
    a, b = map(str, sides)
    assert compare.main([a, b, *GATE]) == 0
    damage(sides[side] / "20")
    capsys.readouterr()
    assert compare.main([a, b, *GATE]) == 1
    assert str(sides[side] / "20") in capsys.readouterr().err
    assert compare.main([a, b]) == 0
    assert str(sides[side] / "20") in capsys.readouterr().err


@pytest.mark.parametrize("file", ["result.json", "generations.jsonl"])
@pytest.mark.parametrize("content", SPOILT)
def test_a_spoilt_file_gives_no_traceback_and_no_gate_that_passes(
    sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str], file: str, content: bytes
) -> None:
    a, b = map(str, sides)
    job = sides[1] / "20"
    (job / file).write_bytes(content)
    assert compare.main([a, b, *GATE]) == 1
    assert f"failed: not compared: {job}" in capsys.readouterr().err
    assert [command.main([b]) for command in (collect, report, listing)] == [0, 0, 0]
    if file == "result.json":
        assert rerun.main([str(job)]) == 2


def test_a_report_on_nothing_readable_is_a_users_mistake(
    tmp_path: Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tmp_path / "job", Simulation(prompts=5))
    cut(tmp_path / "job")
    assert report.main([str(tmp_path)]) == 2
    assert "corrupt" in capsys.readouterr().err
