"""`python -m eagle_bench.presets`: what `GROUP=NAME` can name, and what each is for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from eagle_bench.launch.registry import presets
from eagle_bench.results.tables.render import print_table
from eagle_bench.results.tables.table import Row, Table

GROUPS = ("model", "drafter", "dataset", "decoding", "engine", "sweep", "experiment")


def main(argv: Sequence[str] | None = None) -> int:
    """Print one table for each group of `conf/`."""
    chosen = _parser().parse_args(argv).group
    for group in [chosen] if chosen else GROUPS:
        rows = tuple(Row((f"{group}={file.stem}", _purpose(file))) for file in presets(group))
        print_table(Table(group, ("preset", "purpose"), rows, labels=2))
    return 0


def _purpose(file: Path) -> str:
    """The first sentence of the comment that a preset begins with."""
    lines = file.read_text().splitlines()
    comment = [line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines)]
    words = " ".join(line for line in comment if not line.startswith("@package"))
    return words.partition(". ")[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="eagle-bench presets", description=__doc__)
    parser.add_argument("group", nargs="?", choices=GROUPS, help="default: all")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
