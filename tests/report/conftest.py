"""Synthetic run folders (the results tests' own) and a reader of the report's HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from eagle_bench.records.store import RunFolder
from eagle_bench.report import main
from tests.results.conftest import (
    Simulation,
    config,
    finish,
    length_sweep,
    plain_config,
    simulation,
)

__all__ = ["config", "finish", "length_sweep", "simulation"]

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = "<script>document.title='owned'</script>\"'&"


@dataclass
class Element:
    """An element with its attributes, its children and the text inside, in order."""

    tag: str
    attributes: dict[str, str | None]
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()

    def all(self, tag: str, of_class: str | None = None) -> list[Element]:
        found = [self] if self.tag == tag and (not of_class or of_class in self.classes) else []
        return found + [hit for child in self.children for hit in child.all(tag, of_class)]


class Reader(HTMLParser):
    """Builds the tree and fails on a tag that is closed wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("root", {})
        self.stack = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.stack[-1].children.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop().tag == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for element in self.stack:
            element.pieces.append(data)


def parse(html: str) -> Element:
    """The tree of a document; fails when an element stays open."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.stack) == 1, f"<{reader.stack[-1].tag}> is never closed"
    return reader.root


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], Element]:
    """Run the command on a folder and read what it wrote."""

    def run(folder: Path) -> Element:
        assert main([str(folder)]) == 0
        path = Path(capsys.readouterr().out.strip())
        assert path == folder / "report.html"
        return parse(path.read_text(encoding="utf-8"))

    return run


def fail(folder: Path, reason: str, **changes: Any) -> None:
    """Leave a failed job."""
    with RunFolder(folder) as run:
        run.fail(reason, plain_config(**changes), {"host": "test"})


def hostile_run(folder: Path) -> None:
    """A run in which everything that has a name is called `HOSTILE`."""
    rows, rounds = Simulation(prompts=6).rows()
    renamed = {f"p{number}": f"{HOSTILE}{number}" for number in range(6)}
    summary = Simulation(prompts=6).summary()
    summary = summary | {
        "categories": {HOSTILE: next(iter(summary["categories"].values()))},
        "guards": [{"name": "few_prompts", "ok": False, "detail": HOSTILE}],
    }
    with RunFolder(folder) as run:
        run.append_rounds([replace(r, prompt_id=renamed[r.prompt_id]) for r in rounds])
        for row in rows:
            run.append(replace(row, prompt_id=renamed[row.prompt_id], category=HOSTILE))
        run.finish(summary, plain_config(drafter__name=HOSTILE), {"host": HOSTILE})
