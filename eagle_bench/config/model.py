"""The group `model`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from eagle_bench.config.values import Attention, Implementation


@dataclass
class ModelConfig:
    """The target: an HF folder or hub id, or the embedded one (`path: null`)."""

    name: str = MISSING
    path: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    implementation: Implementation = Implementation.auto
    attention: Attention = Attention.sdpa
    device_map: str | None = None
    tensor_parallel: bool = False
