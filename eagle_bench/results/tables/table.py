"""Rows under headings, as terminal, Markdown and report show them."""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_bench.errors import printable

NONE = "–"


@dataclass(frozen=True)
class Row:
    """Cells in the order of the table's columns; a failed job has only labels and a remark.

    Control characters, which a file's texts may hold, are replaced.
    """

    cells: tuple[str, ...]
    failed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(map(printable, self.cells)))


@dataclass(frozen=True)
class Table:
    """Everything a renderer needs. The first `labels` columns name the row.

    `notes` say in full what the last column, `Remarks`, only names.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    labels: int = 1
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(map(printable, self.notes)))
