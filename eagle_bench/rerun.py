"""`python -m eagle_bench.rerun RESULT`: repeat a run from its own record, and compare.

RESULT is a run's folder or its `result.json`. Exit code 0 when every output has the same tokens
and the speedups agree within their interval, 1 when not, 2 for a mistake of the user. What of the
machine, the software, the checkpoints and the prompts is not as it was is told.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from eagle_bench.compare import comparison_table
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.errors import UserError, in_a_sentence
from eagle_bench.launch.recorded import recorded_config
from eagle_bench.records.job import Job, UnreadableResult, read_job
from eagle_bench.results.reproduction import Reproduction, reproduction
from eagle_bench.results.tables.render import print_table


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Repeat, compare, tell."""
    arguments = _parser().parse_args(argv)
    record = _read(arguments.result)
    repeated = _repeat(record, arguments.output or _new_folder(record))
    found = reproduction(record, repeated)
    print_table(comparison_table(found.comparison))
    for line in _in_words(found):
        print(line)
    return 0 if found.same_tokens and found.same_speedup else 1


def _read(path: Path) -> Job:
    folder = path if path.is_dir() else path.parent
    try:
        record = read_job(folder)
    except UnreadableResult as error:
        raise UserError(f"{error}.") from error
    if not record.complete:
        raise UserError(f"{folder} is {record.status}: only a complete run can be repeated.")
    return record


def _repeat(record: Job, folder: Path) -> Job:
    from eagle_bench.engines.session import Loader
    from eagle_bench.measure.job import run_job
    from eagle_bench.results.progress import ProgressBar
    from eagle_bench.results.show import write_table

    config = replace(recorded_config(record.config), tracker=TrackerConfig(name="none"))
    bar = ProgressBar(quiet=False)
    try:
        repeated = run_job(config, folder, Loader(), bar)
    finally:
        bar.stop()
    write_table(repeated)
    return repeated


def _new_folder(record: Job) -> Path:
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return Path("outputs") / "reruns" / f"{record.folder.resolve().name}-{now}"


def _in_words(found: Reproduction) -> list[str]:
    lines = [f"{name}: was {then}, is {now}" for name, (then, now) in found.differences.items()]
    lines.append(f"{found.equal} of {found.pairs} generations have the same tokens.")
    agree = "agree" if found.same_speedup else "do not agree"
    lines.append(f"The speedups {agree} within the interval of their ratio.")
    lines.append(f"repetition: {found.comparison.b}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="eagle-bench rerun",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("result", metavar="RESULT", type=Path, help="a run's folder")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, help="where to; default: outputs/reruns/NAME-TIME"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
