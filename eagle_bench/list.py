"""`python -m eagle_bench.list [DIR]`: what is under `outputs/`, the latest last."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from eagle_bench.errors import DOCUMENT, UserError, in_a_sentence
from eagle_bench.records.find import find_jobs
from eagle_bench.records.job import Job
from eagle_bench.results.flatten import flatten
from eagle_bench.results.swept import value_text
from eagle_bench.results.tables.render import print_table
from eagle_bench.results.tables.table import NONE, Row, Table

HEADINGS = ("date", "model", "drafter", "method", "gen_len", "speedup", "status", "size", "folder")


@dataclass(frozen=True)
class Entry:
    """One job on the disk; null what a damaged or unfinished one does not tell."""

    date: str
    model: str | None
    drafter: str | None
    method: str | None
    gen_len: int | None
    speedup: float | None
    status: str
    size_bytes: int
    folder: str


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Print the list; 0 when done, 2 for a mistake of the user."""
    arguments = _parser().parse_args(argv)
    if not arguments.folder.is_dir():
        raise UserError(f"{arguments.folder} is no folder; name the one that runs were written to.")
    found = find_jobs([arguments.folder])
    entries = sorted((_entry(job) for job in found.jobs), key=lambda entry: entry.date)
    if arguments.json:
        DOCUMENT.show([asdict(entry) for entry in entries])
    else:
        print_table(_table(entries, arguments.folder, found.skipped))
    return 0


def _entry(job: Job) -> Entry:
    settings = flatten(job.config)
    files = [file.stat() for file in job.folder.rglob("*") if file.is_file()]
    written = datetime.fromtimestamp(max((each.st_mtime for each in files), default=0.0))
    return Entry(
        date=written.isoformat(sep=" ", timespec="minutes") if files else "",
        model=settings.get("model.name"),
        drafter=settings.get("drafter.name"),
        method=settings.get("decoding.name"),
        gen_len=settings.get("gen_len"),
        speedup=job.speedup.get("pooled"),
        status=job.status,
        size_bytes=sum(each.st_size for each in files),
        folder=str(job.folder),
    )


def _table(entries: Sequence[Entry], folder: Path, skipped: Sequence[str]) -> Table:
    rows = tuple(
        Row(
            (
                entry.date or NONE,
                *map(value_text, (entry.model, entry.drafter, entry.method, entry.gen_len)),
                NONE if entry.speedup is None else f"{entry.speedup:.2f}x",
                entry.status,
                f"{entry.size_bytes / 1e6:.1f} MB",
                entry.folder,
            )
        )
        for entry in entries
    )
    return Table(
        f"{len(entries)} results under {folder}", HEADINGS, rows, labels=4, notes=tuple(skipped)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="eagle-bench list", description=__doc__)
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, default=Path("outputs"))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
