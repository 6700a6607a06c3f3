"""A name that is no path here: what stands beside it, and whether the hub or its cache has it."""

from __future__ import annotations

from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

WAIT_S = 4.0
"""How long the hub may take to say that it knows a repository."""

SHOWN = 6


class Absent(Exception):
    """A repository that cannot be read; the argument says why, as what it is or must be."""


def check_there(repository: str, kind: str = "model", revision: str | None = None) -> None:
    """Make sure that the cache or the hub has `repository`, of the kind `model` or `dataset`.

    Waits for the hub `WAIT_S` at most, however long resolving its name takes.

    Raises
    ------
    Absent
        It is in neither, or no repository can be called so.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repository)
    except HFValidationError:
        raise Absent("must look like OWNER/NAME") from None
    folder = repo_folder_name(repo_id=repository, repo_type=kind)
    if Path(constants.HF_HUB_CACHE, folder, "snapshots").is_dir():
        return
    nowhere = "is neither cached on this machine nor reachable"
    if constants.is_offline_mode():
        raise Absent(f"{nowhere} (HF_HUB_OFFLINE is set)")
    answers: SimpleQueue[str | None] = SimpleQueue()

    def ask() -> None:
        answers.put(_refusal(repository, kind, revision))

    Thread(target=ask, daemon=True).start()
    try:
        refusal = answers.get(timeout=WAIT_S)
    except Empty:
        raise Absent(f"{nowhere} (no answer for {WAIT_S:g} seconds)") from None
    if refusal is not None:
        raise Absent(refusal)


def _refusal(repository: str, kind: str, revision: str | None) -> str | None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    try:
        HfApi().repo_info(repository, repo_type=kind, revision=revision, timeout=WAIT_S)
    except HfHubHTTPError as error:
        return f"is not cached, and the hub refuses it (HTTP {error.response.status_code})"
    except (HTTPError, OSError):
        return "is neither cached on this machine nor reachable (no network)"
    return None


def fetch(repository: str, patterns: list[str], kind: str = "model") -> Path:
    """The local snapshot of `repository` with the files that match one of `patterns`.

    Raises
    ------
    Absent
        As `check_there`, or fetching broke off.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    check_there(repository, kind)
    try:
        return Path(snapshot_download(repository, repo_type=kind, allow_patterns=patterns))
    except (HTTPError, OSError) as error:
        raise Absent(f"cannot be fetched ({type(error).__name__})") from error


def beside(path: str) -> str:
    """The folders that stand where `path` is not, in parentheses; empty where there are none."""
    parent = Path(path).expanduser().parent
    if str(parent) == "." or not parent.is_dir():
        return ""
    names = sorted(each.name for each in parent.iterdir() if each.is_dir())
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f" ({parent} has {shown or 'no folders'})"
