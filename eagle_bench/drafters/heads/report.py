"""What the loader understood of a head's folder, in words and figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from eagle_bench.config.values import Attention, HeadKind, dtype_name
from eagle_bench.drafters.heads.check import UNUSED, TargetShape
from eagle_bench.drafters.heads.checkpoint import Checkpoint
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.parse import TOLD_BY_TENSORS
from eagle_bench.drafters.heads.weightmap import split

VOCABULARY = ("d2t", "t2d")
SHAPES = (
    "hidden_size",
    "target_hidden_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "draft_vocab_size",
    "num_features",
)


@dataclass
class LoadReport:
    """Everything a user must see to trust a head.

    Attributes
    ----------
    kind : str
        Of head: EAGLE-3, EAGLE-1/2 or P-EAGLE.
    files : list[str]
        The weight files that were read.
    parameters : int
        Numbers in the head's own tensors (vocabulary map and the target's parts not counted).
    positions : int or None
        Context that the head was made for, where `config.json` says it.
    coverage : float
        Share of the target's vocabulary that the head can propose.
    aux_layers : list of int or None
        Boundaries of the target that the head reads; None when that depends on a target that
        was not given.
    flags : dict[str, bool]
        Of the variants that the tensors tell.
    reading : dict
        `HeadReading.plain()`: what they do not tell, and why it was taken so.
    cache_bytes_per_token, plain_cache_bytes_per_token : int
        What one token of context costs in the head's cache, and would cost as plain k and v.
    missing, ignored, unexpected, not_understood : list[str]
        Keys the format may have and this checkpoint has not; known keys that a head does not
        need; keys that mean nothing here; keys of `config.json` that nothing here reads.
    """

    path: str
    format: str
    title: str
    kind: str
    generation: int
    files: list[str]
    dtype: str
    parameters: int
    shapes: dict[str, int]
    positions: int | None
    attention: str
    coverage: float
    aux_layers: list[int] | None
    flags: dict[str, bool]
    reading: dict[str, dict[str, Any]]
    cache_bytes_per_token: int
    plain_cache_bytes_per_token: int
    missing: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)


def report_on(
    checkpoint: Checkpoint, head: EagleHead, attention: Attention, target: TargetShape | None
) -> LoadReport:
    """What was understood of `checkpoint` when it became `head`."""
    config, weights = head.config, checkpoint.weights
    dtype = head.fc.weight.dtype
    cached, plain = (n * dtype.itemsize for n in config.cache_elements_per_token())
    positions = torch.int32.itemsize if config.mla else 0
    layers = config.features_of(target.num_layers) if target else config.reading.aux_layers
    unused = set(weights) - set(split(head.state_dict(), config))
    unneeded = sorted(unused & set(UNUSED))
    unexpected = sorted(unused - {*VOCABULARY, *UNUSED})
    return LoadReport(
        path=str(checkpoint.folder),
        format=checkpoint.form.name,
        title=checkpoint.form.title,
        kind=_kind(config),
        generation=config.generation,
        files=checkpoint.files,
        dtype=dtype_name(dtype),
        parameters=sum(p.numel() for p in head.parameters()),
        shapes={name: getattr(config, name) for name in SHAPES}
        | ({"latent_dim": config.mla.latent_dim} if config.mla else {}),
        positions=checkpoint.sizes.get("max_position_embeddings"),
        attention="DeepSeek MLA" if config.deepseek else "MLA" if config.mla else "GQA",
        coverage=config.draft_vocab_size / config.vocab_size,
        aux_layers=list(layers) if layers is not None else None,
        flags={name: getattr(config, name) for name in (*TOLD_BY_TENSORS, "own_lm_head")},
        reading=config.reading.plain(),
        cache_bytes_per_token=config.num_layers * (cached + positions),
        plain_cache_bytes_per_token=config.num_layers * plain,
        missing=[name for name in VOCABULARY if config.own_lm_head and name not in weights],
        ignored=sorted([*checkpoint.ignored, *unneeded]),
        unexpected=unexpected,
        not_understood=checkpoint.not_understood,
        warnings=[*config.reading.doubts, *_warnings(checkpoint, head, attention, unexpected)],
    )


def _kind(config: HeadConfig) -> str:
    if config.mask_token is not None:
        return f"{HeadKind.p_eagle.value}, mask token {config.mask_token}"
    return "EAGLE-3" if config.generation == 3 else "EAGLE-1/2"


def _warnings(
    checkpoint: Checkpoint, head: EagleHead, attention: Attention, unexpected: list[str]
) -> list[str]:
    config, said = head.config, []
    if unexpected:
        said.append(f"Keys of no known meaning were left out: {', '.join(unexpected)}.")
    if checkpoint.not_understood:
        unread = ", ".join(checkpoint.not_understood)
        said.append(f"Keys of config.json were not understood and change nothing: {unread}.")
    for name in TOLD_BY_TENSORS:
        flag, _ = checkpoint.flag(name)
        if flag is not None and flag != getattr(config, name):
            said.append(
                f"config.json says {name}={str(flag).lower()}, but the tensors say otherwise and "
                "are followed."
            )
    layers = checkpoint.config.get("num_hidden_layers")
    if layers not in (None, config.num_layers):
        said.append(
            f"config.json says num_hidden_layers={layers}; the head has {config.num_layers}."
        )
    if attention is Attention.flex_attention_mla and config.mla is None:
        said.append("drafter.attention=flex_attention_mla: the head has no latent; it runs as GQA.")
    floating = {each.dtype for each in checkpoint.weights.values() if each.is_floating_point()}
    if len(floating) > 1:
        dtype = dtype_name(head.fc.weight.dtype)
        said.append(f"The tensors are of several dtypes; all are read as {dtype}.")
    return said
