"""Answers of a target as files: JSONL of token ids, compressed by gzip or xz."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eagle_bench.errors import UserError

OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}


@dataclass(frozen=True)
class Exchange:
    """What was said before, and what the target answered, in token ids."""

    prompt_ids: list[int]
    answer: list[int]

    @property
    def ids(self) -> list[int]:
        return self.prompt_ids + self.answer


def read_exchanges(path: Path) -> list[Exchange]:
    """All exchanges of a file, or of the files `*.jsonl.gz` and `*.jsonl.xz` of a folder.

    Raises
    ------
    UserError
        No such file, or a row without `prompt_ids` and `answer`.
    """
    files = sorted(path.glob("*.jsonl.[gx]z")) if path.is_dir() else [path]
    if not files or not files[0].is_file() or files[0].suffix not in OPENERS:
        raise UserError(
            f"training.data={path} holds no answers; give a .jsonl.gz or .jsonl.xz file, or a "
            "folder of them."
        )
    return [each for file in files for each in _rows(file)]


def _rows(file: Path) -> list[Exchange]:
    found = []
    with OPENERS[file.suffix](file, "rt", encoding="utf-8") as lines:
        try:
            for line in lines:
                row = json.loads(line)
                found.append(Exchange(list(row["prompt_ids"]), list(row["answer"])))
        except (OSError, EOFError, lzma.LZMAError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"training.data={file}, line {len(found) + 1}: no prompt_ids and answer as lists "
                f"of token ids in compressed JSONL ({error})."
            ) from error
    if not found:
        raise UserError(f"training.data={file} is empty.")
    return found


def write_exchanges(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write the file whole or not at all."""
    partial = path.with_suffix(".partial")
    with gzip.open(partial, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(each)) + "\n" for each in exchanges)
    partial.replace(path)
