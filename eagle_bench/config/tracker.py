"""The group `tracker`."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class TrackerConfig:
    """Where results go besides the disk."""

    name: str = MISSING
    project: str = "eagle_bench"
    entity: str | None = None
    mode: str = "offline"
    tags: list[str] = field(default_factory=list)
    uri: str | None = None
