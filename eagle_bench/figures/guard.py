"""What a guard says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """One check. `detail` is a sentence with the numbers it rests on."""

    name: str
    ok: bool
    detail: str
