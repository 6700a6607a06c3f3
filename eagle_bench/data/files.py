"""Rows of a JSONL file, a JSON array or a parquet file, recognised by their content."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from eagle_bench.errors import UserError

PARQUET_MAGIC = b"PAR1"


class Row(NamedTuple):
    """One row with its place: `number` counts from 1, `where` names file and line."""

    number: int
    where: str
    fields: dict[str, Any]


def read_bytes(path: Path) -> bytes:
    """The whole file, or a `UserError` that says why there is none."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; dataset.path must name a file in it.")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no dataset file {path}.") from None
    except OSError as error:
        raise UserError(f"The dataset file {path} cannot be read: {error.strerror}.") from None


def rows(path: Path, content: bytes) -> Iterator[Row]:
    """The rows in `content`; `path` is only for messages."""
    if content.startswith(PARQUET_MAGIC):
        yield from _table_rows(path, content)
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8 text.") from None
    if text.lstrip().startswith("["):
        yield from _array_rows(path, text)
    else:
        yield from _line_rows(path, text)


def _table_rows(path: Path, content: bytes) -> Iterator[Row]:
    try:
        table = pq.read_table(pa.BufferReader(content))
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{path} is a damaged parquet file: {reason}.") from None
    for number, fields in enumerate(table.to_pylist(), start=1):
        yield Row(number, f"{path}, row {number}", fields)


def _array_rows(path: Path, text: str) -> Iterator[Row]:
    try:
        items = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: no valid JSON ({error.msg}).") from None
    for number, item in enumerate(items, start=1):
        yield _row(number, f"{path}, row {number}", item)


def _line_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: no valid JSON ({error.msg}).") from None
        yield _row(number, where, item)


def _row(number: int, where: str, item: Any) -> Row:
    if not isinstance(item, dict):
        raise UserError(f"{where}: a JSON {type(item).__name__} where an object belongs.")
    return Row(number, where, item)
