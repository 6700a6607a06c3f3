"""Memory: the high-water mark of a generation, and what the parts of a run hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from eagle_bench.config.run import RunConfig
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Arm
from eagle_bench.records.rows import GenerationRow

PROBE = [0, 0]
"""Tokens whose cache entries are weighed."""


def memory_parts(
    config: RunConfig, target: Target, drafter: Drafter, arm: Arm, rows: Sequence[GenerationRow]
) -> dict[str, Any]:
    """The `memory` part of a summary: `held_bytes` for the longest prompt of `rows`, and peaks.

    Peaks hold activations too; on a CPU they are growth of the process, which keeps what it once
    had.
    """
    longest = max(row.prompt_tokens for row in rows)
    return held_bytes(config, target, drafter, arm, longest) | {
        "peak_bytes": {
            arm: max(row.peak_bytes or 0 for row in rows if row.arm == arm)
            for arm in dict.fromkeys(row.arm for row in rows)
        },
    }


def held_bytes(
    config: RunConfig, target: Target, drafter: Drafter, arm: Arm, prompt_tokens: int
) -> dict[str, int]:
    """Bytes of weights, caches and drafts; nothing of them need be there.

    Caches have `batch_size` rows of `prompt_tokens`, `gen_len` and a draft of `arm`. What a draft
    takes of them is told again as `draft_bytes`: its nodes' entries in both caches and the mask
    over context and draft.
    """
    cached, drafted = _bytes_per_token(target, drafter)
    nodes, extended = arm.max_nodes, arm.max_extended
    context = prompt_tokens + config.gen_len
    capacity = config.batch_size * (context + max(nodes, extended) + 2)
    mask = (nodes + 1) * (context + nodes + 1) * torch.bool.itemsize
    return {
        "target_weight_bytes": target.spec.weight_bytes,
        "drafter_weight_bytes": drafter.weight_bytes,
        "target_bytes_per_token": cached,
        "drafter_bytes_per_token": drafted,
        "target_cache_bytes": cached * capacity,
        "drafter_cache_bytes": drafted * capacity,
        "draft_bytes": config.batch_size * (nodes * cached + extended * drafted + mask),
    }


@torch.inference_mode()
def _bytes_per_token(target: Target, drafter: Drafter) -> tuple[int, int]:
    """Bytes of a token's entries in the target's and in the drafter's cache, by weighing some."""
    cache = target.state(1, len(PROBE))
    device = target.spec.device
    tokens = torch.tensor([PROBE], device=device)
    positions = torch.arange(len(PROBE), device=device)[None]
    step = target.forward(tokens, positions, None, cache, features=drafter.needs_features)
    drafter.start(1, len(PROBE))
    drafter.prefill(0, PROBE, 0, step.features, "")
    return cache.nbytes // len(PROBE), drafter.cache_bytes() // len(PROBE)
