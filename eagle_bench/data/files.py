"""Rows of a file of prompts: JSONL, JSON, parquet, CSV, TSV or plain text, gzipped or not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from eagle_bench.errors import UserError

PARQUET_MAGIC, GZIP_MAGIC = b"PAR1", b"\x1f\x8b"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
FOREIGN = {
    b"PK\x03\x04": "a ZIP archive (so is .xlsx); unpack it, or save the sheet as CSV",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it, or use gzip",
    b"BZh": "compressed by bzip2; unpack it, or use gzip",
    b"\xfd7zXZ": "compressed by xz; unpack it, or use gzip",
    b"ARROW1": "an Arrow file; save it as parquet",
    b"version https://git-lfs": "a Git LFS pointer; `git lfs pull` gets the file itself",
    b"<": "a web page or XML; get the raw file",
}
"""How files begin that hold no prompts as they are, and what to do."""
TABLES = (".csv", ".tsv")
WRAPPERS = ("data", "rows", "prompts", "examples", "items", "samples", "questions", "train", "test")
"""The keys under which a JSON object holds its list of rows."""


class Row(NamedTuple):
    """One row with its place: `number` counts from 1, `where` names file and line.

    `bad` says why nothing could be read there.
    """

    number: int
    where: str
    fields: dict[str, Any]
    bad: str | None = None


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
    """The rows in `content`; `path` is for messages, and its suffix tells CSV, TSV and text.

    Raises
    ------
    UserError
        Not what the suffix says, a kind of file that holds no prompts, or no UTF-8 (or UTF-16
        with its mark) text.
    """
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise UserError(f"{path} is a damaged gzip file.") from None
    if content.startswith(PARQUET_MAGIC):
        yield from _table_rows(path, content)
        return
    for beginning, what in FOREIGN.items():
        if content.startswith(beginning):
            raise UserError(f"{path} is {what}.")
    text = _text(path, content)
    kind = Path(path.name.removesuffix(".gz")).suffix
    if kind in TABLES:
        yield from _delimited_rows(path, text)
    elif kind == ".txt" and not text.lstrip().startswith(("{", "[")):
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield Row(number, f"{path}, line {number}", {"prompt": line})
    elif _is_document(text):
        yield from _document_rows(path, text)
    else:
        yield from _line_rows(path, text)


def _text(path: Path, content: bytes) -> str:
    """`content` decoded, with LF at the end of each line."""
    if b"\0" in content[:2]:
        raise UserError(f"{path} is UTF-16 without its byte-order mark; save the file as UTF-8.")
    encoding = "utf-16" if content.startswith(UTF16_MARKS) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimited_rows(path: Path, text: str) -> Iterator[Row]:
    """Cells apart by what parts the names in the first line: commas, tabs or semicolons."""
    delimiter = max(",\t;", key=text.partition("\n")[0].count)
    csv.field_size_limit(len(text) + 1)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for number, cells in enumerate(reader, start=1):
            extra = None in cells
            fields = {name: cell or None for name, cell in cells.items()}
            bad = "more cells than the first line has names." if extra else None
            yield Row(number, f"{path}, line {reader.line_num}", fields, bad)
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.reader.line_num}: no valid table ({error})."
        ) from None


def _table_rows(path: Path, content: bytes) -> Iterator[Row]:
    try:
        table = pq.read_table(pa.BufferReader(content))
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{path} is a damaged parquet file: {reason}.") from None
    for number, fields in enumerate(table.to_pylist(), start=1):
        yield Row(number, f"{path}, row {number}", fields)


def _is_document(text: str) -> bool:
    """Whether one JSON value spans the text, an array or an object on one line or on many."""
    first, _, rest = text.strip().partition("\n")
    if not first.startswith("{"):
        return first.startswith("[")
    try:
        json.loads(first)
    except (json.JSONDecodeError, RecursionError):
        return True
    return not rest


def _document_rows(path: Path, text: str) -> Iterator[Row]:
    """The items of an array, bare or under one of `WRAPPERS`; else the one row."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: no valid JSON ({error.msg}).") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be prompts.") from None
    items = document
    if isinstance(document, dict):
        wrapped = [document[key] for key in WRAPPERS if isinstance(document.get(key), list)]
        items = wrapped[0] if wrapped else [document]
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
            bad = f"no valid JSON ({error.msg}); tables are told by .csv or .tsv, text by .txt."
            yield Row(number, where, {}, bad)
        except RecursionError:
            yield Row(number, where, {}, "nested too deeply to be a prompt.")
        else:
            yield _row(number, where, item)


def _row(number: int, where: str, item: Any) -> Row:
    if not isinstance(item, dict):
        return Row(number, where, {}, f"a JSON {type(item).__name__} where an object belongs.")
    return Row(number, where, item)
