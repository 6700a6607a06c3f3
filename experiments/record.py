"""Keeps a finished study: its table and pictures go into its folder here.

    python experiments/record.py SWEEP_FOLDER NAME

Copies `sweep.csv`, the tables and the pictures into `experiments/NAME` and prints the lines for
its README: the command, and what was measured on which machine and when. A sweep with a job that
is not complete is refused.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

from eagle_bench.config.run import RESULT_IRRELEVANT
from eagle_bench.errors import UserError
from eagle_bench.records.find import find_jobs
from eagle_bench.results.circumstances import circumstances
from eagle_bench.results.collect import SWEEP_CSV

HERE = Path(__file__).parent


def record(sweep: Path, study: Path) -> str:
    """Copy the results of `sweep` into `study`.

    Returns
    -------
    str
        The README's opening lines.

    Raises
    ------
    UserError
        No such study, or the sweep is not complete.
    """
    if not (study / "README.md").is_file():
        raise UserError(f"There is no study {study.name}: {study} has no README.md.")
    found = find_jobs([sweep])
    jobs = [job for job in found.jobs if job.complete]
    if found.skipped or len(jobs) < len(found.jobs):
        raise UserError(f"{sweep} is not complete: {len(jobs)} of {len(found.jobs)} jobs are.")
    table = pd.read_csv(sweep / SWEEP_CSV, dtype=str, keep_default_na=False)
    table["folder"] = table["folder"].map(lambda folder: Path(folder).name)
    table.to_csv(study / SWEEP_CSV, index=False)
    for file in [*sorted(sweep.glob("*.md")), *sorted(sweep.glob("*.png"))]:
        shutil.copyfile(file, study / file.name)
    guards = {guard["name"].partition(".")[0] for job in jobs for guard in job.summary["guards"]}
    measured = " · ".join(circumstances(jobs))
    return f"    {command(sweep)}\n\n{measured}.\nRemarks: {_joined(guards) or 'none'}."


def command(sweep: Path) -> str:
    """What was typed, less what does not change the result."""
    overrides = OmegaConf.load(sweep / "multirun.yaml").hydra.overrides.task
    kept = [each for each in overrides if each.split("=")[0] not in RESULT_IRRELEVANT]
    return " ".join(["python -m eagle_bench.run -m", *kept])


def _joined(values: Iterable[object]) -> str:
    return ", ".join(sorted({str(value) for value in values}))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python experiments/record.py SWEEP_FOLDER NAME")
    try:
        print(record(Path(sys.argv[1]), HERE / sys.argv[2]))
    except UserError as error:
        print(f"eagle_bench: {error}", file=sys.stderr)
        sys.exit(2)
