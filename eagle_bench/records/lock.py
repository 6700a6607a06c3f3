"""One writer for a run folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from eagle_bench.errors import UserError

LOCK_FILE = ".lock"


class FolderBusy(UserError):
    """Another process writes to the folder."""


class FolderLock:
    """An advisory lock that the kernel drops when its process ends, however it ends.

    Parameters
    ----------
    folder : Path
        An existing folder; the lock is its file `.lock`.

    Raises
    ------
    UserError
        The folder cannot be written to.
    FolderBusy
        Another process holds the lock.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(f"Cannot write to output folder {folder}: {error.strerror}.") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            raise FolderBusy(
                f"Another process is writing to {folder}; wait for it to end, or choose "
                "another output_dir."
            ) from error
        except OSError as error:
            os.close(self._handle)
            raise UserError(
                f"The file system of {folder} has no locks ({error.strerror}); choose an "
                "output_dir on one that has."
            ) from error

    def release(self) -> None:
        """Let the next process in."""
        os.close(self._handle)
