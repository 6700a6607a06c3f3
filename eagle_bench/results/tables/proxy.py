"""A proxy run in the terminal: positions, taus, and texts token by token."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from eagle_bench.figures.proxy import Figure, ProxyFigures, ProxyResult, Sample, TokenRow
from eagle_bench.results.tables.render import LOG_WIDTH, print_table
from eagle_bench.results.tables.table import NONE, Row, Table

MISS = "✗"
POSITION_COLUMNS = (
    "Position",
    "Accuracy",
    "Accuracy\nif right before",
    "Acceptance",
    "Acceptance\n- accuracy",
    "Loss\nnats",
)


def position_table(figures: ProxyFigures) -> Table:
    """One row per draft position."""
    rows = tuple(
        Row(
            (
                str(each.position),
                share(each.accuracy),
                share(each.accuracy_given),
                share(each.acceptance),
                with_interval(each.difference, "{:+.3f}"),
                with_interval(each.loss, "{:.3f}"),
            )
        )
        for each in figures.positions
    )
    return Table("Proxy against true, by draft position", POSITION_COLUMNS, rows)


def tau_table(figures: ProxyFigures) -> Table:
    """The taus that the proxy predicts and the one that was measured."""
    rows = (
        ("predicted from accuracy", figures.tau_predicted),
        ("predicted from accuracy if right before", figures.tau_given),
        ("measured in generation", figures.tau_measured),
        ("measured over predicted", figures.tau_ratio),
    )
    cells = tuple(Row((name, with_interval(each, "{:.2f}"))) for name, each in rows)
    return Table("Tokens per round", ("tau", "Value"), cells)


def token_table(sample: Sample) -> RichTable:
    """What was drafted for each token; a miss is red and marked, a hit green."""
    turn = f", turn {sample.turn + 1}" if sample.turn else ""
    positions = range(1, len(sample.rows[0].drafted) + 1) if sample.rows else range(0)
    table = RichTable(
        title=Text(f"Prompt {sample.prompt_id}{turn}: the draft at each position"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    for name in ("Text", "Target", *map(str, positions)):
        table.add_column(name, no_wrap=True)
    for row in sample.rows:
        table.add_row(*_token_cells(row))
    return table


def print_proxy(result: ProxyResult) -> None:
    """Tables and texts on stdout."""
    print_table(position_table(result.figures))
    print_table(tau_table(result.figures))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else LOG_WIDTH)
    for sample in result.samples:
        console.print(token_table(sample))


def share(figure: Figure) -> str:
    """`81.2%` and its interval."""
    return with_interval(figure, "{:.1%}")


def with_interval(figure: Figure, form: str) -> str:
    """A value and, behind a line break, its interval where it has one."""
    if figure.value is None:
        return NONE
    text = form.format(figure.value)
    if figure.low is None or figure.high is None:
        return text
    return f"{text}\n[{form.format(figure.low)}, {form.format(figure.high)}]"


def _token_cells(row: TokenRow) -> list[Text]:
    told = Text(row.choice, style="" if row.choice == row.token else "yellow")
    drafts = [
        Text(token, style="green") if hit else Text(f"{MISS} {token}", style="red")
        for token, hit in zip(row.drafted, row.hits, strict=True)
    ]
    return [Text(row.token, style="bold"), told, *drafts]
