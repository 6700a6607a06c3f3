"""One job as its folder tells it: the reading side of `result.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eagle_bench.records.generation import BASELINE
from eagle_bench.records.shape import SHAPES, misfit

SCHEMA_VERSION = 1
RESULT_FILE = "result.json"


class UnreadableResult(ValueError):
    """A result file that is corrupt, half-written or of another schema; says which and why."""


class OtherSchema(UnreadableResult):
    """A result file that another version of eagle_bench wrote."""


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes
    ----------
    folder : Path
        Where its files are.
    status : str
        `complete`, `failed`, or `missing` when there is no `result.json`.
    reason : str or None
        Why it is not complete.
    config, summary, provenance : dict
        As in `result.json`; `summary` is empty unless the job is complete.
    config_hash : str or None
        Identity of the job; None when it left no `result.json`.
    found : bool
        It was finished before this process asked for it.
    """

    folder: Path
    status: str
    reason: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    config_hash: str | None = None
    found: bool = False

    @property
    def complete(self) -> bool:
        return self.status == "complete"

    @property
    def name(self) -> str:
        """What a person called it; empty for nothing."""
        return str(self.config.get("name") or "")

    @property
    def method(self) -> str | None:
        """Name of the speculative arm; None when only the baseline ran."""
        return next((arm for arm in self.summary.get("arms", {}) if arm != BASELINE), None)

    @property
    def speculative(self) -> Mapping[str, Any]:
        """Figures of the speculative arm, empty when there is none."""
        arms: Mapping[str, Mapping[str, Any]] = self.summary.get("arms", {})
        return arms[self.method] if self.method else {}

    @property
    def speedup(self) -> Mapping[str, Any]:
        """The speedup estimates; empty when there is no speculative arm."""
        return self.summary.get("speedup") or {}


def read_job(folder: Path) -> Job:
    """Read a folder's `result.json`.

    Raises
    ------
    UnreadableResult
        The file is there but cannot be used.
    """
    path = folder / RESULT_FILE
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableResult(f"{path} is corrupt or half-written: {error}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise UnreadableResult(f"{path} is no result of eagle_bench: it has no schema_version")
    if document["schema_version"] != SCHEMA_VERSION:
        raise OtherSchema(
            f"{path} has schema_version {document['schema_version']}, this eagle_bench reads "
            f"{SCHEMA_VERSION}: run the job again, or read it with the version that wrote it"
        )
    status = str(document.get("status"))
    if status not in SHAPES:
        raise UnreadableResult(f"{path} has the status {status}, neither {' nor '.join(SHAPES)}")
    fault = misfit(document, SHAPES[status], RESULT_FILE)
    if fault:
        raise UnreadableResult(f"{path} has wrong values: {fault}")
    return Job(
        folder=folder,
        status=status,
        reason=document.get("reason"),
        config=document["config"],
        summary=document.get("summary") or {},
        provenance=document["provenance"],
        config_hash=document.get("config_hash"),
    )
