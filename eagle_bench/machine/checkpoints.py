"""Which files a path or hub id stands for on this machine, and what is in them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

SUFFIXES = {".safetensors", ".bin", ".pt", ".json", ".model", ".txt", ".jinja"}


def on_disk(path: str | Path, revision: str | None = None) -> Path | None:
    """What is read for `path`: the file or folder, else the hub id's snapshot in the cache.

    `~` is expanded. A snapshot is that of the commit which `revision` (None: main) names now;
    None where nothing is there.
    """
    local = Path(path).expanduser()
    if local.exists():
        return local
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(str(path), "config.json", revision=revision)
    except HFValidationError:
        return None
    return Path(config).parent if isinstance(config, str) else None


def in_words(path: str | Path | None) -> str:
    """The size of a checkpoint, as in `1.6 GB`; what is not on this machine is to be fetched."""
    if path is None:
        return "from the hub"
    root = Path(path)
    files = [root] if root.is_file() else _checkpoint_files(root)
    size = float(sum(file.stat().st_size for file in files))
    units = iter(("bytes", "kB", "MB", "GB"))
    unit = next(units)
    while size >= 1000 and unit != "GB":
        size, unit = size / 1000, next(units)
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def fingerprint(path: str | Path) -> str:
    """SHA-256 over a checkpoint's files: names, sizes, contents, sorted by name.

    Parameters
    ----------
    path : str | Path
        A file, or a folder of which the files with a checkpoint's suffixes are read.
    """
    root = Path(path)
    files = [root] if root.is_file() else _checkpoint_files(root)
    total = hashlib.sha256()
    for file in files:
        version = file.stat()
        content = _sha256(file, version.st_size, version.st_mtime_ns, version.st_ino)
        name = file.name if file == root else file.relative_to(root).as_posix()
        total.update(f"{name}\0{version.st_size}\0{content}\n".encode())
    return total.hexdigest()


@cache
def _sha256(file: Path, size: int, mtime_ns: int, inode: int) -> str:
    """Read once in this process for each version of the file, whatever the number of jobs."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checkpoint_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
