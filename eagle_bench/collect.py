"""`python -m eagle_bench.collect DIR...`: any number of runs and sweeps as one table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eagle_bench.errors import UserError, in_a_sentence
from eagle_bench.records.atomic import replacing
from eagle_bench.records.find import find_jobs
from eagle_bench.records.rowfiles import write_parquet
from eagle_bench.results.collect import jobs_frame, write_sweep
from eagle_bench.results.flatten import storable
from eagle_bench.results.tables.jobs import job_table
from eagle_bench.results.tables.render import print_table

WRITERS = (".csv", ".parquet")


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table of all jobs found; 0 when done, 2 for a mistake of the user."""
    arguments = _parser().parse_args(argv)
    _collect(arguments.folders, arguments.output, arguments.write)
    return 0


def _collect(folders: Sequence[Path], output: Path | None, write: bool) -> None:
    if output is not None and output.suffix not in WRITERS:
        raise UserError(f"--output {output} must end in {' or '.join(WRITERS)}.")
    found = find_jobs(folders)
    if found.jobs:
        print_table(job_table(found.jobs))
    for sentence in found.skipped:
        print(f"skipped: {sentence}", file=sys.stderr)
    if found.skipped:
        print(f"{len(found.skipped)} result files were skipped.", file=sys.stderr)
    if output is not None:
        frame = storable(jobs_frame(found))
        if output.suffix == ".csv":
            with replacing(output) as temporary:
                frame.to_csv(temporary, index=False)
        else:
            write_parquet(frame, output)
    if write:
        for folder in folders:
            write_sweep(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="eagle-bench collect", description=__doc__)
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="run or sweep")
    parser.add_argument("--output", metavar="FILE", type=Path, help="also write .csv or .parquet")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write sweep.csv, sweep.parquet, table.md and the pictures into each DIR",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
