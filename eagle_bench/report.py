"""`python -m eagle_bench.report DIR`: one HTML file on a run or a sweep, for a colleague.

The file opens from disk without a network: words, tables, pictures, outputs with the accepted
tokens marked, provenance, and what every figure means.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from eagle_bench.errors import UserError, in_a_sentence
from eagle_bench.results.report.write import write_report


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Write the report and print its path; 0 when done, 2 for a mistake of the user."""
    arguments = _parser().parse_args(argv)
    _check(arguments.output)
    print(write_report(arguments.folder, arguments.output))
    return 0


def _check(output: Path | None) -> None:
    if output is not None and output.is_dir():
        raise UserError(f"--output {output} is a folder; name the file to write.")
    if output is not None and not output.parent.is_dir():
        raise UserError(f"--output {output} is in a folder that does not exist.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="eagle-bench report", description=__doc__)
    parser.add_argument("folder", metavar="DIR", type=Path, help="run or sweep")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="where to write; default: DIR/report.html"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
