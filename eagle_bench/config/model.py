"""The group `model`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from eagle_bench import assets
from eagle_bench.config.values import Attention, Implementation


@dataclass
class ModelConfig:
    """The target: an HF folder, GGUF file or hub id; `path: null` for those that `name` tells."""

    name: str = MISSING
    path: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    implementation: Implementation = Implementation.auto
    attention: Attention = Attention.sdpa
    device_map: str | None = None
    tensor_parallel: bool = False

    def checkpoint(self) -> str | None:
        """Where the weights are; None where `path` must say so or a package is missing."""
        if self.path is not None:
            return self.path
        known = {"embedded": lambda: assets.TARGET, "smollm2": assets.smollm2}
        found = known[self.name]() if self.name in known else None
        return None if found is None else str(found)
