"""Tables: what each cell says, in the terminal and as Markdown."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from eagle_bench.figures import guards
from eagle_bench.records.job import Job
from eagle_bench.results.tables.jobs import category_table, job_table
from eagle_bench.results.tables.remarks import ADVICE
from eagle_bench.results.tables.render import TerminalTable, render_markdown
from eagle_bench.results.tables.table import Table

SUMMARY = {
    "gen_len": 128,
    "prompts": 80,
    "arms": {
        "baseline": {
            "calls_per_token": 1.0,
            "throughput_tok_s": 100.04,
            "decode_tok_s": 101.0,
            "wall_s": 102.4,
            "new_tokens": 10240,
        },
        "chain": {
            "calls_per_token": 0.349,
            "throughput_tok_s": 193.0,
            "decode_tok_s": 195.0,
            "wall_s": 53.06,
            "new_tokens": 10240,
            "tau": 2.9,
            "acceptance_rate": 0.4751,
            "per_position": [0.7, 0.5],
            "accept_histogram": [30, 20, 50],
        },
    },
    "speedup": {
        "pooled": 1.9291,
        "low": 1.86,
        "high": 2.012,
        "ratio_of_means": 1.9,
        "geomean": 1.9,
    },
    "lossless": {"exact_share": 1.0, "pairs": 80},
    "guards": [],
}


def job(gen_len: int = 128, summary: dict | None = None, **config: object) -> Job:
    settings = {"gen_len": gen_len, "decoding": {"name": "chain", "draft_len": 4}} | config
    return Job(Path(f"job{gen_len}"), "complete", config=settings, summary=summary or SUMMARY)


def failed(gen_len: int = 500) -> Job:
    return Job(Path("x"), "failed", "CUDA out of memory | batch 64", config={"gen_len": gen_len})


def cells(table: Table) -> list[dict[str, str]]:
    names = [name.replace("\n", " ") for name in table.columns]
    return [
        dict(zip(names, (cell.replace("\n", " ") for cell in row.cells), strict=True))
        for row in table.rows
    ]


def printed(table: Table, width: int) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(TerminalTable(table))
    return buffer.getvalue()


def test_section_8_alone_fills_the_seeds_table():
    assert cells(job_table([job()])) == [
        {
            "Length": "128",
            "Baseline s": "102.40",
            "Drafter s": "53.06",
            "Speedup": "1.93x [1.86, 2.01]",
            "Throughput B/D tok/s": "100.0 / 193.0",
            "Calls/Token": "B: 1.00 D: 0.35",
            "Accept Rate": "47.5%",
            "tau": "2.90",
            "Lossless": "100%",
        }
    ]


def test_an_engines_gap_stands_beside_its_figures_and_our_own_loop_has_none():
    gap = {"pooled": 1.0, "equal_prompts": 24, "prompts": 24, "sentence": "..."}
    rows = cells(job_table([job(), job(summary=SUMMARY | {"engine_gap": gap})], ["gen_len"]))
    assert [row["Engine gap"] for row in rows] == ["–", "1.00 24 of 24"]


def test_almost_lossless_is_never_rounded_to_100():
    summary = SUMMARY | {"lossless": {"exact_share": 0.99999, "pairs": 100_000}}
    assert cells(job_table([job(summary=summary)]))[0]["Lossless"] == "99.9%"


@pytest.mark.parametrize("lossless", [None, {}, {"exact_share": None, "pairs": 0}])
def test_figures_that_are_not_defined_are_a_dash(lossless):
    summary = SUMMARY | {"lossless": lossless, "speedup": None}
    row = cells(job_table([job(summary=summary)]))[0]
    assert (row["Lossless"], row["Speedup"]) == ("–", "–")


def test_rows_in_order_of_length_with_the_failed_one_and_its_reason():
    guarded = SUMMARY | {
        "guards": [{"name": "few_prompts", "ok": False, "detail": "3 prompts, fewer than 5."}]
    }
    table = job_table([failed(500), job(1000), job(50, guarded)])
    rows = cells(table)
    assert [row["Length"] for row in rows] == ["50", "500", "1000"]
    assert [row["Remarks"] for row in rows] == ["few_prompts", "failed", ""]
    assert rows[1]["Speedup"] == "–"
    assert table.notes == (
        "Length 50: few_prompts: 3 prompts, fewer than 5. To mend it: raise num_samples.",
        "Length 500: failed: CUDA out of memory | batch 64",
    )


def test_a_remark_on_several_jobs_is_said_once():
    busy = [
        SUMMARY | {"guards": [{"name": "busy_machine", "ok": False, "detail": f"{used} cores."}]}
        for used in (1, 2)
    ]
    table = job_table([job(50, busy[0]), job(100, busy[1]), job(200)])
    assert table.notes == (
        "busy_machine: 2 of 3 jobs, as Length 50: busy_machine: 1 cores. "
        "To mend it: end the other work and repeat with resume=false.",
    )


def test_every_guard_says_what_mends_it():
    source = Path(guards.__file__).parent
    code = "".join(file.read_text() for file in source.glob("*.py"))
    names = set(re.findall(r'Guard\(\s*f?"(\w+)', code))
    explained = {"preflight", "engine_gap", "host_bound", "far_from_roofline", "slow_baseline"}
    assert names - explained == set(ADVICE)


def test_first_columns_are_the_swept_settings():
    jobs = [
        job(decoding={"name": "tree", "depth": 6, "top_k": 6}),
        job(decoding={"name": "chain", "draft_len": 8}),
        job(decoding={"name": "chain", "draft_len": 4}),
    ]
    rows = cells(job_table(jobs))
    assert [(row["Decoding"], row["draft_len"]) for row in rows] == [
        ("chain", "4"),
        ("chain", "8"),
        ("tree", "–"),
    ]
    assert "Length" not in rows[0]
    assert cells(job_table(jobs, ["gen_len"]))[0]["Length"] == "128"


def test_markdown_is_a_table_with_escaped_bars():
    lines = render_markdown(job_table([job(), failed()])).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "- Length 500: failed: CUDA out of memory \\| batch 64" in lines


def test_a_wide_terminal_has_one_line_per_row_and_a_narrow_one_splits_no_number():
    table = job_table([job(50), job(100), failed()])
    wide = printed(table, 200)
    assert "1.93x [1.86, 2.01]" in wide
    assert "B: 1.00 D: 0.35" in wide
    narrow = printed(table, 80)
    assert max(map(len, narrow.splitlines())) <= 80
    for whole in ("1.93x", "[1.86, 2.01]", "B: 1.00", "D: 0.35", "Baseline", "out of memory"):
        assert whole in narrow


def test_categories(simulation):
    table = category_table(job(summary=simulation(prompts=15).summary()))
    assert [row["Category"] for row in cells(table)] == ["arithmetic", "story", "table"]
    assert all(row["Prompts"] == "5" and "x [" in row["Speedup"] for row in cells(table))
    assert category_table(job()) is None
