"""The results table in the terminal and as Markdown."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from eagle_bench.records.job import Job
from eagle_bench.results.tables.jobs import REMARKS, category_table, job_table
from eagle_bench.results.tables.table import Table

LOG_WIDTH = 200


class TerminalTable:
    """A rich renderable: one line per row where the terminal is wide enough, else two.

    A narrow terminal also does without the remarks' column: the notes below tell them.
    """

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = self._build(narrow=False)
        fits = Measurement.get(console, options.update(max_width=10_000), wide)
        yield wide if fits.maximum <= options.max_width else self._build(narrow=True)
        for note in self.table.notes:
            yield Text(f"  {note}", style="dim")

    def _build(self, *, narrow: bool) -> RichTable:
        rendered = RichTable(
            title=Text(self.table.title),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 0) if narrow else (0, 1),
            collapse_padding=True,
            pad_edge=False,
            show_edge=False,
        )
        shown = [i for i, name in enumerate(self.table.columns) if name != REMARKS or not narrow]
        for index in shown:
            name = self.table.columns[index]
            left = index < self.table.labels or name == REMARKS
            rendered.add_column(
                Text(_broken(name, narrow)),
                justify="left" if left else "right",
                no_wrap=name != REMARKS,
            )
        for row in self.table.rows:
            cells = (Text(_broken(row.cells[index], narrow)) for index in shown)
            rendered.add_row(*cells, style="red" if row.failed else "")
        return rendered


def print_table(table: Table) -> None:
    """Print to stdout; a log or a pipe gets whole lines however long."""
    width = None if sys.stdout.isatty() else LOG_WIDTH
    Console(file=sys.stdout, width=width).print(TerminalTable(table))


def render_markdown(table: Table) -> str:
    """The table as a GitHub-flavoured Markdown section."""
    aligned = [
        ":--" if index < table.labels or name == REMARKS else "--:"
        for index, name in enumerate(table.columns)
    ]
    grid = [table.columns, aligned, *(row.cells for row in table.rows)]
    lines = ["| " + " | ".join(_escaped(cell) for cell in cells) + " |" for cells in grid]
    notes = [f"- {_escaped(note)}" for note in table.notes]
    blocks = [f"## {table.title}", "\n".join(lines), "\n".join(notes)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def run_markdown(job: Job) -> str:
    """What `table.md` of one job holds: its row, then its categories."""
    tables = [job_table([job]), category_table(job)]
    return "\n".join(render_markdown(table) for table in tables if table is not None)


def _broken(cell: str, narrow: bool) -> str:
    return cell if narrow else cell.replace("\n", " ")


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
