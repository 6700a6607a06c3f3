"""`eagle-bench plan ...`: what a run, or a sweep with `-m`, would need and take; nothing runs.

The arguments are those of `eagle-bench run`, and every check is made that a run makes before it
measures; no weights of a target are read. Told are each job's folder and what is there already,
what a target step reads and computes, what weights and caches hold, and the seconds of all target
steps at this device's speed: from every draft token accepted to none. Loading, checks, warm-up,
drafting and what the host takes come on top. With `hydra/launcher=slurm` the
script of the job array is shown. `output=json` gives one JSON document. Exit code 2 when a job
would be refused.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from eagle_bench.config.values import Output
from eagle_bench.config.words import HELP
from eagle_bench.errors import DOCUMENT, UserError, in_a_sentence
from eagle_bench.launch.command import validated
from eagle_bench.launch.planning import asked
from eagle_bench.records.find import state_of
from eagle_bench.results.progress import duration
from eagle_bench.results.tables.render import print_table
from eagle_bench.results.tables.table import NONE, Row, Table
from eagle_bench.results.trackers.build import make_tracker

if TYPE_CHECKING:
    from eagle_bench.engines.session import Loader
    from eagle_bench.measure.outline import Outline

COLUMNS = ("Job", "State", "Prompts", "Step reads", "Step FLOP", "Step floor", "Held", "Takes")


@dataclass(frozen=True)
class Planned:
    """One job: what it needs, or why it would be refused."""

    folder: str
    state: str
    refused: str | None
    outline: Outline | None


class Remarks:
    """Hears what a run would say while it gets ready, each sentence once."""

    def __init__(self) -> None:
        self.said: dict[str, None] = {}

    def say(self, line: str) -> None:
        self.said[line] = None

    def phase(self, what: str) -> AbstractContextManager[None]:
        return nullcontext()


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Tell; 0 when every job could run, 2 when not."""
    words = sys.argv[1:] if argv is None else argv
    if HELP & {*words}:
        print(__doc__)
        return 0
    found = asked("config", words)
    output = next(iter(found.jobs.values())).output
    from eagle_bench.engines.session import Sketcher

    sketcher, remarks = Sketcher(), Remarks()
    planned = [_plan(folder, job, sketcher, remarks) for folder, job in found.jobs.items()]
    if output is Output.json:
        jobs, notes = [asdict(each) for each in planned], [*remarks.said]
        DOCUMENT.show({"jobs": jobs, "notes": notes, "script": found.script})
    else:
        print_table(_table(planned, [*remarks.said]))
        print(found.script, end="")
    return 2 if any(each.refused for each in planned) else 0


def _plan(folder: Path, job: DictConfig, sketcher: Loader, remarks: Remarks) -> Planned:
    from eagle_bench.measure.outline import outline

    state = state_of(folder)
    try:
        config = validated(job)
        make_tracker(config.tracker, folder, remarks.say)
        found = outline(config, sketcher, remarks)
    except UserError as error:
        return Planned(str(folder), state, str(error), None)
    for line in found.card[:2]:
        remarks.say(line)
    return Planned(str(folder), state, None, found)


def _table(planned: Sequence[Planned], said: Sequence[str]) -> Table:
    rows = [Row((Path(each.folder).name, each.state, *_cells(each.outline))) for each in planned]
    refused = [f"{Path(each.folder).name}: {each.refused}" for each in planned if each.refused]
    folder = Path(planned[0].folder).parent
    jobs = "1 job" if len(rows) == 1 else f"{len(rows)} jobs"
    return Table(f"{jobs} in {folder}", COLUMNS, tuple(rows), 2, (*said, *refused))


def _cells(found: Outline | None) -> tuple[str, ...]:
    if found is None:
        return ("refused", *[NONE] * (len(COLUMNS) - 3))
    least, most = _in_words(found.least_s), _in_words(found.most_s)
    return (
        str(found.prompts),
        f"{found.step_read_bytes / 1e6:.4g} MB",
        f"{found.step_flop / 1e9:.3g} G",
        f"{1e3 * found.step_s:.3g} ms",
        f"{found.held_bytes / 1e6:.4g} MB",
        least if least == most else f"{least} to {most}",
    )


def _in_words(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 90 else duration(seconds)


if __name__ == "__main__":
    raise SystemExit(main())
