"""JSON lines that survive SIGKILL: each record is on the disk when `append` returns."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagle_bench.errors import RunFailure


@dataclass(frozen=True)
class Records:
    """What a file held: its records, and the numbers (from 1) of lines that were unreadable.

    A last line without its newline was being written when the process died. It is no record
    and no fault, so it is in neither.
    """

    records: list[dict[str, Any]]
    bad_lines: list[int]


def read_records(path: Path) -> Records:
    """Read every whole line of `path`; a file that is not there holds nothing."""
    if not path.exists():
        return Records([], [])
    lines = path.read_bytes().split(b"\n")[:-1]
    records: list[dict[str, Any]] = []
    bad_lines = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            bad_lines.append(number)
    return Records(records, bad_lines)


class JsonLines:
    """An append-only file. A torn last line of an earlier process is cut off on opening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab+", buffering=0)
        self._cut_torn_line()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write `records` and wait until they are on the disk.

        Raises
        ------
        RunFailure
            The disk is full or failing, or the file is no longer where it was opened.
        """
        if not self._in_place():
            raise RunFailure(f"{self.path} went away while the run wrote to it.")
        lines = "".join(json.dumps(record) + "\n" for record in records).encode()
        try:
            while lines:
                lines = lines[self._file.write(lines) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._cut_torn_line()
            raise RunFailure(f"Cannot write {self.path}: {error.strerror}.") from error

    def close(self) -> None:
        self._file.close()

    def _in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except OSError:
            return False

    def _cut_torn_line(self) -> None:
        self._file.seek(0)
        whole = self._file.read().rfind(b"\n") + 1
        self._file.truncate(whole)
