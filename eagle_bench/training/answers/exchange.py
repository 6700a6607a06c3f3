"""Answers of a target as files: gzipped JSONL of token ids."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from eagle_bench.errors import UserError


@dataclass(frozen=True)
class Exchange:
    """What was said before, and what the target answered, in token ids."""

    prompt_ids: list[int]
    answer: list[int]

    @property
    def ids(self) -> list[int]:
        return self.prompt_ids + self.answer


def read_exchanges(path: Path) -> list[Exchange]:
    """All exchanges of a file, or of the files `*.jsonl.gz` of a folder.

    Raises
    ------
    UserError
        No such file, or a row without `prompt_ids` and `answer`.
    """
    files = sorted(path.glob("*.jsonl.gz")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise UserError(
            f"training.data={path} holds no answers; give a file or folder of .jsonl.gz."
        )
    return [each for file in files for each in _rows(file)]


def _rows(file: Path) -> list[Exchange]:
    found = []
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        try:
            for line in lines:
                row = json.loads(line)
                found.append(Exchange(list(row["prompt_ids"]), list(row["answer"])))
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"training.data={file}, line {len(found) + 1}: no prompt_ids and answer as lists "
                f"of token ids in gzipped JSONL ({error})."
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
