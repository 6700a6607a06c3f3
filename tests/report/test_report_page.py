"""The page of a run and of a sweep: what is on it, and that nothing on it can do harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eagle_bench.records.prompts import write_prompts
from eagle_bench.report import main
from eagle_bench.results.report.places import without_places
from tests.report.conftest import HOSTILE, Element, fail, hostile_run, parse
from tests.results.conftest import Finish, Simulation

Report = Callable[[Path], Element]


def captions(page: Element) -> list[str]:
    return [caption.all("b")[0].text for caption in page.all("figcaption")]


def test_run_page_has_every_part(tmp_path: Path, finish: Finish, report: Report) -> None:
    job = finish(tmp_path / "run", Simulation())
    page = report(tmp_path / "run")
    assert {heading.text for heading in page.all("h2")} == {
        "Results",
        "In detail",
        "What the figures mean",
    }
    assert captions(page) == [
        "Speedup, estimated four ways",
        "Tokens per round, by convention",
        "Acceptance by position in the draft",
        "Tokens per round (tau) by place in the output",
        "Tokens per round (tau) by place in the context",
        "Draft tokens accepted per round",
        "Speedup by category",
        "Time of a token by phase",
    ]
    lead = page.all("p", "lead")[0].text
    assert f"{job.speedup['pooled']:.2f}x as fast as the baseline" in lead
    assert f"{job.speedup['low']:.2f} to {job.speedup['high']:.2f}" in lead
    facts = {dt.text for dt in page.all("dt")}
    assert {"decoding.draft_len", "config_hash"} <= facts


def test_sweep_page_compares_and_details_jobs(length_sweep: Path, report: Report) -> None:
    page = report(length_sweep)
    rows = page.all("tbody")[0].all("tr")
    assert [row.all("th")[0].text for row in rows] == ["50", "100", "200"]
    assert captions(page)[:5] == [
        "Speedup by generation length",
        "Target calls per token",
        "Tokens per verification round (tau)",
        "Acceptance by position in the draft",
        "Speedup by category",
    ]
    names = [details.all("summary")[0].text.strip() for details in page.all("details", "job")]
    assert names == ["50 tokens", "100 tokens", "200 tokens"]
    ticks = [text.text for text in page.all("svg")[0].all("text")]
    assert [tick for tick in ticks if tick in ("50", "100", "200")] == ["50", "100", "200"]


def test_failed_job_is_shown_with_its_reason(length_sweep: Path, report: Report) -> None:
    fail(length_sweep / "late", "CUDA out of memory at batch 64", gen_len=999)
    page = report(length_sweep)
    assert page.all("tr", "failed")[0].all("th")[0].text == "999"
    warnings = page.all("section", "warnings")[0].text
    assert "CUDA out of memory at batch 64" in warnings
    assert "4 jobs: 3 complete, 1 failed." in page.text
    assert [chip.text for chip in page.all("span", "bad")] == ["failed"]


def test_only_failed_jobs_still_give_a_page(tmp_path: Path, report: Report) -> None:
    fail(tmp_path / "a", "no such head", gen_len=10)
    fail(tmp_path / "b", "no such head", gen_len=20)
    page = report(tmp_path)
    assert page.all("p", "lead")[0].text == "2 jobs: 2 failed."
    assert not page.all("figure")


def test_unreadable_result_is_named(length_sweep: Path, report: Report) -> None:
    (length_sweep / "torn").mkdir()
    (length_sweep / "torn" / "result.json").write_text('{"schema_ver')
    warnings = report(length_sweep).all("section", "warnings")[0].text
    assert "torn/result.json is corrupt" in warnings


def test_names_cannot_become_markup(tmp_path: Path, report: Report) -> None:
    hostile_run(tmp_path)
    page = report(tmp_path)
    assert not page.all("script")
    assert page.text.count(HOSTILE) >= 6
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    allowed = {"aria-label", "class", "title"}
    carrying = {
        name
        for element in everything(page)
        for name, value in element.attributes.items()
        if "owned" in (value or "")
    }
    assert carrying <= allowed


def everything(element: Element) -> list[Element]:
    return [element, *(hit for child in element.children for hit in everything(child))]


def test_page_loads_nothing(length_sweep: Path, report: Report) -> None:
    page = report(length_sweep)
    for element in everything(page):
        assert element.tag not in {"script", "img", "iframe", "object", "embed", "base"}
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "href", "action"} or value == "data:,"
    style = page.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style
    policy = next(m for m in page.all("meta") if m.attributes.get("http-equiv"))
    assert (policy.attributes["content"] or "").startswith("default-src 'none'")


def test_every_picture_is_described_or_beside_its_values(
    length_sweep: Path, report: Report
) -> None:
    page = report(length_sweep)
    for svg in page.all("svg"):
        assert svg.attributes.get("aria-hidden") == "true" or svg.attributes.get("aria-label")
    for bar in page.all("div", "bar"):
        assert any(character.isdigit() for character in bar.all("span", "value")[0].text)


def test_ids_of_the_page_are_unique(length_sweep: Path, report: Report) -> None:
    page = report(length_sweep)
    ids = [e.attributes["id"] for e in everything(page) if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    targets = [
        e.attributes["aria-labelledby"]
        for e in everything(page)
        if "aria-labelledby" in e.attributes
    ]
    assert set(targets) == set(ids)


def test_output_goes_where_told(
    tmp_path: Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tmp_path / "run", Simulation(prompts=3))
    target = tmp_path / "mine.html"
    assert main([str(tmp_path / "run"), "--output", str(target)]) == 0
    assert parse(target.read_text(encoding="utf-8")).all("h1")[0].text == "run"
    assert capsys.readouterr().out.strip() == str(target)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "no folder nowhere"),
        (["."], "no results of eagle_bench"),
        ([".", "--output", "absent/x.html"], "a folder that does not exist"),
        ([".", "--output", "."], "is a folder"),
    ],
)
def test_mistakes_are_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


def test_a_line_under_the_title_tells_what_was_measured_where_and_when(
    tmp_path: Path, finish: Finish, report: Report
) -> None:
    finish(tmp_path / "s" / "a", Simulation(), model__path="/secret/of/mine/Llama-8B")
    finish(tmp_path / "s" / "b", Simulation(), drafter__name="other")
    [header] = report(tmp_path / "s").all("header")
    line = header.all("p")[-1].text
    assert "Llama-8B" in line
    assert "other" in line
    assert "/secret" not in line


def test_a_page_that_goes_to_a_colleague_names_no_place_and_no_host(
    tmp_path: Path, finish: Finish, report: Report
) -> None:
    finish(tmp_path / "s" / "a", Simulation(), model__path="/secret/of/mine/Llama-8B")
    fail(tmp_path / "s" / "b", "no file /secret/of/mine/head.bin here", gen_len=500)
    (tmp_path / "s" / "c").mkdir()
    (tmp_path / "s" / "c" / "result.json").write_text("{")
    report(tmp_path / "s")
    page = (tmp_path / "s" / "report.html").read_text()
    assert "…/head.bin here" in page
    assert "Skipped: c/result.json is corrupt" in page
    assert "/secret" not in page
    assert str(tmp_path) not in page
    assert "<dt>host</dt>" not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at /a/b/c.json: no", "at …/c.json: no"),
        ("~/models/x and C:\\heads\\y", "…/x and …/y"),
        ("Qwen/Qwen2-7B, 3/4, https://a.org/b/c and a/b/c", None),
        ("model.path=/a/b/", "model.path=…/b"),
    ],
)
def test_places_are_cut_to_their_last_name(text: str, shown: str | None) -> None:
    assert without_places(text) == (shown or text)


def test_samples_show_what_was_asked(tmp_path: Path, finish: Finish, report: Report) -> None:
    finish(tmp_path / "run", Simulation(prompts=3))
    write_prompts(tmp_path / "run", {"p0": ["How many?"], "p1": ["<b>Why</b>?"], "p2": ["Who?"]})
    asked = [each.text.strip() for each in report(tmp_path / "run").all("blockquote", "prompt")]
    assert sorted(asked) == ["<b>Why</b>?", "How many?", "Who?"]


def test_lines_differ_by_mark_and_dash(length_sweep: Path, report: Report) -> None:
    page = report(length_sweep)
    legends = [each for each in page.all("ul", "legend") if len(each.all("li")) > 1]
    assert legends
    for legend in legends:
        marks = [key.text for key in legend.all("i", "key")]
        assert len(set(marks)) == len(marks)
