"""The group `engine`: what runs target and drafter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from omegaconf import MISSING


@dataclass
class EngineConfig:
    """eagle_bench's own loop, and what every other engine replaces.

    Attributes
    ----------
    inside : bool
        Whether it runs in this process, where its parts can be timed and its memory seen.
    """

    inside: ClassVar[bool] = True

    name: str = MISSING


@dataclass
class LlamaCppConfig(EngineConfig):
    """llama.cpp's server with the pair as GGUF, once with drafts and once without."""

    inside: ClassVar[bool] = False


ENGINES: dict[str, type[EngineConfig]] = {"own": EngineConfig, "llama_cpp": LlamaCppConfig}
