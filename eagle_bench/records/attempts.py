"""The processes that measured into one folder, and that all of them measured the same thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagle_bench.errors import UserError
from eagle_bench.records.jsonl import read_records

ATTEMPTS = "attempts.jsonl"


@dataclass(frozen=True)
class Attempt:
    """One process's work on a job.

    Attributes
    ----------
    config_hash : str
        Identity of the settings.
    inputs : mapping
        SHA-256 of what the settings name: checkpoints and prompts, by role.
    provenance : mapping
        Where it ran and with what.
    """

    config_hash: str
    inputs: Mapping[str, str]
    provenance: Mapping[str, Any]


def read_attempts(folder: Path) -> list[Attempt]:
    """Every attempt, the earliest first."""
    return [Attempt(**record) for record in read_records(folder / ATTEMPTS).records]


def refuse_others(earlier: Sequence[Attempt], now: Attempt, folder: Path) -> None:
    """Make sure that `now` goes on with what the earlier attempts measured.

    Raises
    ------
    UserError
        Other settings, or a checkpoint or the prompts have changed.
    """
    for attempt in earlier:
        if attempt.config_hash != now.config_hash:
            raise UserError(
                f"{folder} holds rows of another job's settings; choose another folder, or let "
                "eagle_bench name it."
            )
        for role, sha256 in attempt.inputs.items():
            if now.inputs.get(role, sha256) != sha256:
                raise UserError(
                    f"The {role} changed since {folder} was measured with these settings; "
                    "resume=false measures anew into a folder of its own."
                )
