"""A file fits in a head: at most 300 lines, most below 90, and nothing is written twice."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "eagle_bench"
COPY = 10


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def too_long(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if len(lines(file)) > 300]


def said(file: Path) -> list[str]:
    """Its lines, neither blank nor indented; a signature, which a protocol repeats, is one."""
    code = file.read_text()
    inside = {
        line
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef)
        for line in range(node.lineno + 1, node.body[0].lineno)
    }
    numbered = enumerate(code.splitlines(), start=1)
    return [line.strip() for at, line in numbered if line.strip() and at not in inside]


def blocks(file: Path) -> Iterator[tuple[str, ...]]:
    lines = said(file)
    return (tuple(lines[i : i + COPY]) for i in range(len(lines) - COPY + 1))


def copies(files: Iterable[Path]) -> list[tuple[str, str, str]]:
    """Two places of each run of ten lines that stands twice, and its first line."""
    seen: dict[tuple[str, ...], tuple[Path, int]] = {}
    found = []
    for file in sorted(files):
        for index, block in enumerate(blocks(file)):
            first = seen.setdefault(block, (file, index))
            if first != (file, index):
                found.append((first[0].name, file.name, block[0]))
    return found


CODE = [*PACKAGE.rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]


def test_no_file_is_long_and_most_are_short() -> None:
    assert not too_long(CODE)
    assert median(len(lines(file)) for file in PACKAGE.rglob("*.py")) < 90


def test_nothing_is_written_twice() -> None:
    assert not copies(CODE)


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("pass\n" * 301)
    body = "".join(f"    x = {number}\n" for number in range(COPY))
    for name in ("one", "other"):
        (tmp_path / f"{name}.py").write_text(f"def {name}(\n    a,\n    b,\n):\n{body}")
    [pair] = set(copies([tmp_path / "one.py", tmp_path / "other.py"]))
    assert pair == ("one.py", "other.py", "x = 0")
    assert too_long(tmp_path.glob("*.py")) == [tmp_path / "long.py"]
    (tmp_path / "other.py").write_text(f"def other():\n{body.replace('9', '10')}")
    assert not copies([tmp_path / "one.py", tmp_path / "other.py"])
