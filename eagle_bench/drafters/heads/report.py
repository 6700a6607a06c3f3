"""What the loader understood of a head's folder, in words and figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class LoadReport:
    """Everything a user must see to trust a head.

    Attributes
    ----------
    files : list[str]
        The weight files that were read.
    parameters : int
        Numbers in the head's own tensors (vocabulary map and the target's parts not counted).
    coverage : float
        Share of the target's vocabulary that the head can propose.
    aux_layers : list of int or None
        Layers of the target whose input the head reads; None when that depends on a target
        that was not given.
    cache_bytes_per_token, plain_cache_bytes_per_token : int
        What one token of context costs in the head's cache, and would cost as plain k and v.
    missing, ignored, unexpected : list[str]
        Keys the format may have and this checkpoint has not; known keys that a head does not
        need; keys that mean nothing here.
    """

    path: str
    format: str
    title: str
    generation: int
    files: list[str]
    dtype: str
    parameters: int
    shapes: dict[str, int]
    attention: str
    rope: dict[str, Any]
    coverage: float
    vocabulary_source: str
    aux_layers: list[int] | None
    aux_source: str
    flags: dict[str, bool]
    cache_bytes_per_token: int
    plain_cache_bytes_per_token: int
    missing: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)
