"""Rows under headings, as terminal, Markdown and report show them."""

from __future__ import annotations

from dataclasses import dataclass, field

NONE = "–"


@dataclass(frozen=True)
class Row:
    """Cells in the order of the table's columns; a failed job has only labels and a remark."""

    cells: tuple[str, ...]
    failed: bool = False


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
