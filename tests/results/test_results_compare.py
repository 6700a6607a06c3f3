"""Comparing two results: figures, intervals, the gate."""

from __future__ import annotations

import json

import pytest

from eagle_bench import compare as command
from eagle_bench.errors import UserError
from eagle_bench.results.compare import FIGURES, compare
from eagle_bench.results.gate import parse_gate


@pytest.fixture
def pair(tmp_path, finish, simulation):
    """A, and B whose drafter is three times as slow."""
    a = finish(tmp_path / "a", simulation(prompts=20))
    b = finish(tmp_path / "b", simulation(prompts=20, slow=3.0))
    return a, b


def changes(comparison):
    return {change.figure: change for change in comparison.changes}


def test_figures_are_those_of_the_summaries(pair):
    a, b = pair
    (comparison,) = compare(a.folder, b.folder).comparisons
    found = changes(comparison)
    assert comparison.prompts == 20
    for side, job in (("a", a), ("b", b)):
        assert getattr(found["speedup"], side) == pytest.approx(job.speedup["pooled"])
        for figure in ("throughput_tok_s", "calls_per_token", "tau", "acceptance_rate"):
            assert getattr(found[figure], side) == pytest.approx(job.speculative[figure])
    speedup = found["speedup"]
    assert speedup.ratio == pytest.approx(b.speedup["pooled"] / a.speedup["pooled"])
    assert speedup.difference == pytest.approx(b.speedup["pooled"] - a.speedup["pooled"])
    assert speedup.ratio_interval.low < speedup.ratio < speedup.ratio_interval.high < 0.8


def test_pairing_removes_what_both_share(pair):
    """Same acceptance in both: the counts cannot differ, whatever the prompts."""
    (comparison,) = compare(*(job.folder for job in pair)).comparisons
    for figure in ("calls_per_token", "tau", "acceptance_rate"):
        change = changes(comparison)[figure]
        assert change.ratio == change.ratio_interval.low == change.ratio_interval.high == 1.0


def test_two_speedups_that_cannot_be_told_apart_are_called_so(pair, capsys):
    a, b = (str(job.folder) for job in pair)
    assert command.main([a, a]) == 0
    assert "cannot be told apart: the interval of B/A contains 1" in capsys.readouterr().out
    assert command.main([a, b]) == 0
    assert "cannot be told apart" not in capsys.readouterr().out


def test_what_others_took_widens_the_speedups_interval_and_nothing_else(pair, capsys):
    """Two thirds of B's method may have been others' work: then it was as fast as A's."""
    folders = [job.folder for job in pair]
    (before,) = compare(*folders).comparisons
    path = folders[1] / "generations.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["arm"] != "baseline":
            row |= {"disturbed": True, "stalled_s": 0.6 * row["wall_s"], "culprit": "steal"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (after,) = compare(*folders).comparisons
    was, now = changes(before)["speedup"], changes(after)["speedup"]
    assert (before.disturbed, after.disturbed) == (False, True)
    assert after.changes[1:] == before.changes[1:]
    assert (now.ratio, now.ratio_interval.low) == (was.ratio, was.ratio_interval.low)
    assert now.ratio_interval.high == pytest.approx(was.ratio_interval.high / 0.4, rel=0.01)
    assert command.main([*map(str, folders)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "cannot be told apart" in told
    assert "others' work took time in A or B" in told


def test_only_shared_prompts_count(tmp_path, finish, simulation):
    finish(tmp_path / "a", simulation(prompts=6))
    finish(tmp_path / "b", simulation(prompts=9))
    (comparison,) = compare(tmp_path / "a", tmp_path / "b").comparisons
    assert (comparison.prompts, comparison.only_a, comparison.only_b) == (6, 0, 3)
    assert changes(comparison)["tau"].ratio == 1.0
    all_nine = simulation(prompts=9).summary()["arms"]["chain"]["tau"]
    assert changes(comparison)["tau"].b != pytest.approx(all_nine)


def test_sweeps_are_matched_job_by_job(tmp_path, finish, simulation):
    for side, lengths in (("a", (50, 100, 200)), ("b", (100, 200))):
        for gen_len in lengths:
            finish(tmp_path / side / str(gen_len), simulation(prompts=3, gen_len=gen_len))
    found = compare(tmp_path / "a", tmp_path / "b")
    names = [comparison.name for comparison in found.comparisons]
    assert names == ["gen_len=100", "gen_len=200"]
    assert found.gaps == [
        f"{tmp_path / 'a' / '50'} has no complete counterpart under {tmp_path / 'b'}"
    ]


def test_nothing_in_common_is_a_users_mistake(tmp_path, finish, simulation, config):
    finish(tmp_path / "a" / "x", simulation(prompts=2, gen_len=50))
    finish(tmp_path / "a" / "y", simulation(prompts=2, gen_len=60))
    finish(tmp_path / "b", simulation(prompts=2, gen_len=70))
    with pytest.raises(UserError, match="no job in common"):
        compare(tmp_path / "a", tmp_path / "b")


def test_the_gate_exits_with_1_only_when_it_triggers(pair, capsys):
    folders = [str(job.folder) for job in pair]
    assert command.main(folders) == 0
    assert command.main([*folders, "--fail-if", "speedup < 0.98"]) == 1
    assert "speedup < 0.98" in capsys.readouterr().err
    assert command.main([*folders, "--fail-if", "tau < 0.98", "--fail-if", "tau > 1.02"]) == 0
    assert command.main([*reversed(folders), "--fail-if", "speedup < 0.98"]) == 0


def test_json_is_one_document(pair, capsys):
    folders = [str(job.folder) for job in pair]
    assert command.main([*folders, "--json", "--fail-if", "throughput_tok_s <= 1"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert set(document["comparisons"][0]["figures"]) == set(FIGURES)
    assert len(document["failed"]) == 1
    assert command.main([folders[0], "nowhere", "--json"]) == 2
    assert "nowhere" in json.loads(capsys.readouterr().out)["reason"]


@pytest.mark.parametrize(
    "expression", ["speedup", "speedup < ", "speedup < x", "nothing < 1", "speedup < nan", "< 1"]
)
def test_a_wrong_gate_exits_with_2(pair, capsys, expression):
    assert command.main([*(str(job.folder) for job in pair), "--fail-if", expression]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_undefined_ratio_fails_the_gate():
    gate = parse_gate("tau<1.0", FIGURES)
    assert [gate.triggers(ratio) for ratio in (None, 0.5, 1.0)] == [True, True, False]
    assert parse_gate(" tau >= 1e-1 ", FIGURES).triggers(0.1)
