"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eagle_bench.errors import RunFailure


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary neighbour of `path` to write to; rename it over `path` at the end.

    The content is on the disk before the rename, so a crash leaves the old file or the new.

    Raises
    ------
    RunFailure
        The disk is full or the folder went away.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise RunFailure(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8) atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
