"""DFlash heads on disk: three layouts in, one out, and what is refused (arXiv 2602.06036)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Qwen3Config

from eagle_bench.config.drafter import DFlashConfig
from eagle_bench.config.values import HeadKind
from eagle_bench.drafters.heads.block import BlockConfig, BlockHead
from eagle_bench.drafters.heads.check import TargetShape, check_tensors
from eagle_bench.drafters.heads.folder import (
    MASK_EMBEDDING,
    SAFETENSORS,
    locate,
    read_json,
    read_weights,
    unpickle,
)
from eagle_bench.drafters.heads.formats import bare
from eagle_bench.drafters.heads.others import kind_of
from eagle_bench.errors import UserError

NOT_RUN = (
    *("use_swa", "causal", "attention_sink_bias", "attention_value_scale"),
    *("conv_kernel_size", "selector_rank"),
)
"""Switches of variants that no reference here can check."""


def load_dflash(settings: DFlashConfig, target: TargetShape | None = None) -> BlockHead:
    """The DFlash head that `settings` name, on the CPU.

    Raises
    ------
    UserError
        There is none, it is a variant that is not run here, or it does not fit `target`.
    """
    path = settings.checkpoints().get("drafter")
    if path is None:
        raise UserError(f"drafter={settings.name} needs drafter.path=FOLDER.")
    folder = locate(path)
    stored, _ = read_weights(folder)
    document = read_json(folder)
    keys = bare(stored)
    if (kind := kind_of(folder, document, keys)) is not HeadKind.dflash:
        raise UserError(
            f"{folder} holds a head of the kind {kind.value}, which would be misread as DFlash; "
            f"it runs as drafter={kind.name}."
        )
    config = _parse(document)
    weights = {name: stored[key] for name, key in keys.items()}
    own = "lm_head.weight" in weights and "d2t" in weights
    draft_vocab = len(weights["d2t"]) if own else None
    with torch.device("meta"):
        head = BlockHead(config, weights["fc.weight"].shape[1], draft_vocab)
    expected = head.state_dict()
    check_tensors(folder, weights, expected)
    dtype = weights["fc.weight"].dtype
    head.load_state_dict({name: weights[name].to(dtype) for name in expected}, assign=True)
    if draft_vocab:
        head.target_ids = weights["d2t"] + torch.arange(draft_vocab)
    head.mask_embedding = _mask_embedding(folder, config, dtype)
    if target is not None:
        _check_fits(head, target)
    return head.eval().requires_grad_(False)


def save_dflash(head: BlockHead, folder: Path) -> None:
    """Write a head that draws with its target's `lm_head` into `folder`, in z-lab's layout."""
    config = head.config
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.cpu().contiguous() for name, weight in head.state_dict().items()}
    save_file(weights, folder / SAFETENSORS, metadata={"format": "pt"})
    document = config.layers.to_diff_dict() | {
        "architectures": ["DFlashDraftModel"],
        "block_size": config.block_size,
        "dflash_config": {
            "mask_token_id": config.mask_token,
            "target_layer_ids": [layer - 1 for layer in config.aux_layers],
            "sample_from_anchor": config.from_anchor,
        },
    }
    text = json.dumps(document, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def _parse(document: Mapping[str, Any]) -> BlockConfig:
    nested = document.get("dflash_config") or {}
    said = {**document, **nested}
    if found := [key for key in NOT_RUN if said.get(key)]:
        raise UserError(f"The DFlash head sets {', '.join(found)}, which is not run here.")
    outputs, inputs = said.get("target_layer_ids"), said.get("aux_hidden_state_layer_ids")
    ids = [each + 1 for each in outputs] if outputs else inputs
    lacking = [
        name
        for name, value in (
            ("block_size", said.get("block_size")),
            ("mask_token_id", said.get("mask_token_id")),
            ("target_layer_ids", ids),
        )
        if value is None
    ]
    if lacking:
        raise UserError(f"config.json of the DFlash head lacks {', '.join(lacking)}.")
    layers = Qwen3Config(**(document.get("transformer_layer_config") or document))
    if "sliding_attention" in (layers.layer_types or ()):
        raise UserError("The DFlash head has sliding-window layers, which are not run here.")
    assert ids is not None
    of_deepspec = "DSpark" in str(document.get("architectures"))
    anchored = bool(said.get("sample_from_anchor", of_deepspec))
    return BlockConfig(layers, said["block_size"], said["mask_token_id"], tuple(ids), anchored)


def _mask_embedding(folder: Path, config: BlockConfig, dtype: torch.dtype) -> Tensor | None:
    """What stands in a mask's place where a folder holds one in a file of its own."""
    path, width = folder / MASK_EMBEDDING, config.layers.hidden_size
    if not path.is_file():
        return None
    loaded = unpickle(path)
    named = loaded if isinstance(loaded, dict) else {"": loaded}
    tensors = [each for each in named.values() if isinstance(each, Tensor)]
    of = named.get("mask_token_id", config.mask_token)
    if len(tensors) != 1 or tensors[0].numel() != width or of != config.mask_token:
        raise UserError(
            f"{path} should hold one embedding of {width} numbers, of the mask token "
            f"{config.mask_token}."
        )
    return tensors[0].flatten().to(dtype)


def _check_fits(head: BlockHead, target: TargetShape) -> None:
    config = head.config
    if config.layers.hidden_size != target.hidden_size:
        raise UserError(
            f"The head was made for a target of width {config.layers.hidden_size}, but this one "
            f"has width {target.hidden_size}."
        )
    if head.fc.in_features != len(config.aux_layers) * target.hidden_size:
        raise UserError(
            f"fc reads {head.fc.in_features} features, not {len(config.aux_layers)} hidden states "
            f"of {target.hidden_size}."
        )
    if head.mask_embedding is None and config.mask_token >= target.vocab_size:
        raise UserError(
            f"The head's mask token {config.mask_token} is none of the target's "
            f"{target.vocab_size} tokens, and its folder holds no {MASK_EMBEDDING}."
        )
    if min(config.aux_layers) < 0 or max(config.aux_layers) > target.num_layers:
        raise UserError(
            f"The head reads the inputs of layers {list(config.aux_layers)}, but the target has "
            f"only {target.num_layers} layers."
        )
