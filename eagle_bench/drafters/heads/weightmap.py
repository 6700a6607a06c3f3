"""Between the field's separate projections and this head's joined ones."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from eagle_bench.drafters.heads.config import HeadConfig

Parts = dict[str, tuple[tuple[str, int], ...]]
"""Joined module of a layer -> the field's modules in order, each with its output rows."""

LAYER = re.compile(r"(layers\.\d+\.)(.+)\.(weight|bias)")


def parts_of(config: HeadConfig) -> Parts:
    """Which modules of a layer are joined, and from what."""
    q = config.num_heads * config.head_dim
    kv = config.num_kv_heads * config.head_dim
    inner = config.intermediate_size
    parts: Parts = {"mlp.gate_up_proj": (("mlp.gate_proj", inner), ("mlp.up_proj", inner))}
    if config.deepseek is not None:
        return parts
    if config.mla is None:
        parts["self_attn.qkv_proj"] = (
            ("self_attn.q_proj", q),
            ("self_attn.k_proj", kv),
            ("self_attn.v_proj", kv),
        )
    else:
        parts["self_attn.down_proj"] = (
            ("self_attn.q_proj", q),
            ("self_attn.W_dkv", config.mla.latent_dim),
        )
        parts["self_attn.up_proj"] = (("self_attn.W_uk", kv), ("self_attn.W_uv", kv))
    return parts


def split(joined: dict[str, Tensor], config: HeadConfig) -> dict[str, Tensor]:
    """A head's `state_dict` under the field's names; views, no copies."""
    parts = parts_of(config)
    result: dict[str, Tensor] = {}
    for name, tensor in joined.items():
        match = LAYER.fullmatch(name)
        if match is None or match[2] not in parts:
            result[name] = tensor
            continue
        modules = parts[match[2]]
        for (module, _), piece in zip(
            modules, tensor.split_with_sizes([rows for _, rows in modules]), strict=True
        ):
            result[f"{match[1]}{module}.{match[3]}"] = piece
    return result


def join(separate: dict[str, Tensor], config: HeadConfig) -> dict[str, Tensor]:
    """The inverse of `split`; every part must be there."""
    result = dict(separate)
    for index in range(config.num_layers):
        for joined, modules in parts_of(config).items():
            for kind in ("weight", "bias"):
                names = [f"layers.{index}.{module}.{kind}" for module, _ in modules]
                if names[0] in result:
                    pieces = [result.pop(name) for name in names]
                    result[f"layers.{index}.{joined}.{kind}"] = torch.cat(pieces)
    return result
