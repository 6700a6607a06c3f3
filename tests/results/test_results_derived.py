"""Figures derived from a long run beside those of shorter ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eagle_bench.figures.derive import shorten
from eagle_bench.figures.lossless import compare
from eagle_bench.figures.summary import summarise
from eagle_bench.records.job import Job
from eagle_bench.records.rows import GenerationRow
from eagle_bench.records.store import RunFolder
from eagle_bench.results.charts.sweep import derived_chart
from eagle_bench.results.derived import derived_figures, write_derived

LONG = 96
Write = Callable[..., Job]


@pytest.fixture
def write(tmp_path: Path, config: Callable[..., dict[str, Any]]) -> Write:
    def finish(name: str, rows: list[GenerationRow], gen_len: int, **changes: Any) -> Job:
        summary = summarise(
            rows, gen_len=gen_len, seed=0, resamples=200, confidence=0.95, lossless=compare(rows)
        )
        with RunFolder(tmp_path / name) as run:
            for row in rows:
                run.append(row)
            return run.finish(summary, config(gen_len=gen_len, **changes), {})

    return finish


def slower(rows: list[GenerationRow], factor: float) -> list[GenerationRow]:
    """The same generations, the method's taking `factor` times as long."""
    return [
        row
        if row.arm == "baseline"
        else replace(row, wall_s=factor * row.wall_s, decode_s=factor * row.decode_s)
        for row in rows
    ]


@pytest.fixture
def long_rows(simulation: Any) -> list[GenerationRow]:
    rows, _ = simulation(prompts=8, gen_len=LONG).rows()
    return list(rows)


def lines(figures: pd.DataFrame, gen_len: int) -> dict[tuple[Any, str], dict[Any, Any]]:
    own = figures[figures["gen_len"] == gen_len].to_dict("records")
    return {(line["arm"], line["figure"]): line for line in own}


def test_counts_are_equal_and_seconds_are_judged_by_the_measured_interval(
    write: Write, long_rows: list[GenerationRow], tmp_path: Path
) -> None:
    jobs = [
        write("long", long_rows, LONG),
        write("even", shorten(long_rows, 48), 48),
        write("slow", slower(shorten(long_rows, 24), 1.25), 24),
    ]
    figures = derived_figures(jobs)
    even, slow = lines(figures, 48), lines(figures, 24)
    for found in (even, slow):
        for figure in ("calls_per_token", "tau", "mean_new_tokens"):
            assert found["chain", figure]["agrees"] is True
        assert found["baseline", "throughput_tok_s"]["difference"] == pytest.approx(0.0)
        [same] = [line for (_, figure), line in found.items() if figure == "same_outputs"]
        assert same["measured"] == 1.0
    assert even["chain", "speedup"]["agrees"] is True
    assert slow["chain", "speedup"]["difference"] > 0.2
    assert slow["chain", "speedup"]["agrees"] is False
    assert write_derived(figures, tmp_path) == tmp_path / "derived.md"
    table = (tmp_path / "derived.md").read_text()
    assert f"Derived from {LONG} tokens / measured" in table
    assert [line.split("|")[-2].strip() for line in table.splitlines()[4:6]] == ["no", "yes"]
    assert len(pd.read_csv(tmp_path / "derived.csv")) == len(figures)
    chart = derived_chart(jobs, ["gen_len"], figures)
    assert chart.places == ["24", "48"]
    assert chart.series == ["measured", f"derived from {LONG}"]


def test_another_output_or_another_round_shows(
    write: Write, long_rows: list[GenerationRow]
) -> None:
    short = shorten(long_rows, 48)
    first = next(row for row in short if row.arm == "chain")
    first.token_ids = [999, *first.token_ids[1:]]
    second = [row for row in short if row.arm == "chain"][1]
    second.target_calls += 1
    found = lines(derived_figures([write("long", long_rows, LONG), write("b", short, 48)]), 48)
    [same] = [line for (_, figure), line in found.items() if figure == "same_outputs"]
    assert same["measured"] == 15 / 16
    assert found["chain", "calls_per_token"]["agrees"] is False
    assert found["chain", "tau"]["agrees"] is True


def test_only_shared_prompts_and_only_jobs_that_differ_in_length(
    write: Write, long_rows: list[GenerationRow], tmp_path: Path
) -> None:
    fewer = [row for row in shorten(long_rows, 48) if row.prompt_id != "p0"]
    long, short = write("long", long_rows, LONG), write("short", fewer, 48)
    assert lines(derived_figures([long, short]), 48)["chain", "tau"]["agrees"] is True
    other = write("other", shorten(long_rows, 48), 48, decoding__draft_len=2)
    none = derived_figures([long, other])
    assert none.empty
    assert write_derived(none, tmp_path) is None
    assert not (tmp_path / "derived.csv").exists()
