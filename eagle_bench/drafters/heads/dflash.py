"""A DFlash head: a block of mask tokens, denoised in one pass beside the target's features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Qwen3Config
from transformers.models.qwen3 import modeling_qwen3 as qwen3

from eagle_bench.drafters.heads.check import TargetShape
from eagle_bench.drafters.heads.folder import locate, read_json, read_weights
from eagle_bench.drafters.heads.formats import bare
from eagle_bench.drafters.heads.layer import Cache, RMSNorm
from eagle_bench.drafters.heads.others import OTHERS
from eagle_bench.drafters.heads.rope import rotate
from eagle_bench.errors import UserError
from eagle_bench.models.attention import attend, attention_bias

NOT_RUN = (
    *("use_swa", "causal", "attention_sink_bias", "attention_value_scale"),
    *("conv_kernel_size", "selector_rank"),
)
"""Switches of variants that no reference here can check."""


@dataclass(frozen=True)
class BlockConfig:
    """What a folder says of a DFlash head beside its layers' sizes.

    `aux_layers` are boundaries of `TargetSpec.aux_layers`; `from_anchor`: the slot of the root
    drafts too.
    """

    layers: Qwen3Config
    block_size: int
    mask_token: int
    aux_layers: tuple[int, ...]
    from_anchor: bool

    @property
    def levels(self) -> int:
        """Tokens that one block drafts."""
        return self.block_size - (not self.from_anchor)


class BlockLayer(nn.Module):
    """A decoder layer whose keys and values are the context's and the block's."""

    def __init__(self, config: Qwen3Config, index: int) -> None:
        super().__init__()
        self.index, self.head_dim = index, config.head_dim
        width, bias = config.hidden_size, config.attention_bias
        q = config.num_attention_heads * config.head_dim
        kv = config.num_key_value_heads * config.head_dim
        self.self_attn = nn.ModuleDict(
            {
                "q_proj": nn.Linear(width, q, bias=bias),
                "k_proj": nn.Linear(width, kv, bias=bias),
                "v_proj": nn.Linear(width, kv, bias=bias),
                "o_proj": nn.Linear(q, width, bias=bias),
                "q_norm": RMSNorm(config.head_dim, config.rms_norm_eps),
                "k_norm": RMSNorm(config.head_dim, config.rms_norm_eps),
            }
        )
        self.mlp = qwen3.Qwen3MLP(config)
        self.input_layernorm = RMSNorm(width, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(width, config.rms_norm_eps)

    def remember(
        self, x: Tensor, turns: tuple[Tensor, Tensor], cache: Cache
    ) -> tuple[Tensor, Tensor]:
        """Write keys and values of `x` `[batch, n, hidden]`; all that the cache holds now."""
        attention = self.self_attn
        k = self._heads(attention["k_proj"](x))
        v = self._heads(attention["v_proj"](x))
        return cache.update(rotate(attention["k_norm"](k), *turns), v, self.index)

    def forward(
        self,
        block: Tensor,
        context: Tensor,
        turns: tuple[Tensor, Tensor],
        mask: Tensor,
        cache: Cache,
    ) -> Tensor:
        """The block's states; `turns` are of the positions of context and block."""
        attention, slots = self.self_attn, block.shape[1]
        normed = self.input_layernorm(block)
        k, v = self.remember(torch.cat((context, normed), dim=1), turns, cache)
        q = attention["q_norm"](self._heads(attention["q_proj"](normed)))
        q = rotate(q, *(each[:, :, -slots:] for each in turns))
        seen = attention_bias(mask, q.shape[1] // k.shape[1], q.dtype)
        block = block + attention["o_proj"](attend(q, k, v, seen))
        return block + torch.as_tensor(self.mlp(self.post_attention_layernorm(block)))

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


class BlockHead(nn.Module):
    """The layers of a DFlash head over features of its target (arXiv 2602.06036)."""

    rotary: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

    def __init__(self, config: BlockConfig, features: int, draft_vocab: int | None) -> None:
        super().__init__()
        self.config = config
        layers, width = config.layers, config.layers.hidden_size
        with torch.device("cpu"):
            self.rotary = qwen3.Qwen3RotaryEmbedding(layers)
        self.fc = nn.Linear(features, width, bias=False)
        self.hidden_norm = RMSNorm(width, layers.rms_norm_eps)
        self.layers = nn.ModuleList(
            BlockLayer(layers, index) for index in range(layers.num_hidden_layers)
        )
        self.norm = RMSNorm(width, layers.rms_norm_eps)
        self.lm_head = nn.Linear(width, draft_vocab, bias=False) if draft_vocab else None
        self.target_ids: Tensor | None = None

    def turns(self, positions: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Half of each cosine and sine `[batch, 1, n, head_dim / 2]`, as `rotate` takes them."""
        cos, sin = self.rotary(like, positions)
        half = self.config.layers.head_dim // 2
        return cos[:, None, :, :half], sin[:, None, :, :half]

    def context(self, features: Tensor) -> Tensor:
        """What all layers see of features `[batch, n, features]`."""
        return torch.as_tensor(self.hidden_norm(self.fc(features)))

    def remember(self, features: Tensor, positions: Tensor, cache: Cache) -> None:
        """Write the context's keys and values."""
        context = self.context(features)
        for layer in self.layers:
            cast(BlockLayer, layer).remember(context, self.turns(positions, context), cache)
        cache.advance(context.shape[1])

    def forward(
        self, block: Tensor, features: Tensor, positions: Tensor, mask: Tensor, cache: Cache
    ) -> Tensor:
        """Normed states `[batch, block_size, hidden]` of the block's embeddings.

        Parameters
        ----------
        features : Tensor
            `[batch, n, features]`, context that the cache does not hold yet.
        positions : Tensor
            int64 `[batch, n + block_size]`.
        """
        context = self.context(features)
        turns = self.turns(positions, context)
        for layer in self.layers:
            block = layer(block, context, turns, mask, cache)
        cache.advance(positions.shape[1])
        return torch.as_tensor(self.norm(block))


def load_dflash(path: str, target: TargetShape | None = None) -> BlockHead:
    """The DFlash head in the folder or hub repository `path`, on the CPU.

    Raises
    ------
    UserError
        There is none, it is a variant that is not run here, or it does not fit `target`.
    """
    folder = locate(path)
    stored, _ = read_weights(folder)
    document = read_json(folder)
    keys = bare(stored)
    names = frozenset(keys)
    architecture = str((document.get("architectures") or [""])[0])
    kind = next(
        (name for name, is_it in OTHERS.items() if is_it(architecture, document, names)), ""
    )
    if kind != "DFlash":
        raise UserError(f"{folder} holds no DFlash head{f' but a {kind} drafter' if kind else ''}.")
    config = _parse(document)
    weights = {name: stored[key] for name, key in keys.items()}
    own = "lm_head.weight" in weights and "d2t" in weights
    draft_vocab = len(weights["d2t"]) if own else None
    with torch.device("meta"):
        head = BlockHead(config, weights["fc.weight"].shape[1], draft_vocab)
    expected = head.state_dict()
    if lacking := sorted(set(expected) - set(weights)):
        raise UserError(f"{folder} lacks the weights {', '.join(lacking)}.")
    for name, like in expected.items():
        if weights[name].shape != like.shape:
            raise UserError(
                f"{name} in {folder} has shape {list(weights[name].shape)}, but its config.json "
                f"makes it {list(like.shape)}."
            )
    dtype = weights["fc.weight"].dtype
    head.load_state_dict({name: weights[name].to(dtype) for name in expected}, assign=True)
    if draft_vocab:
        head.target_ids = weights["d2t"] + torch.arange(draft_vocab)
    if target is not None:
        _check_fits(head, target)
    return head.eval().requires_grad_(False)


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
    anchored = bool(said.get("sample_from_anchor"))
    return BlockConfig(layers, said["block_size"], said["mask_token_id"], tuple(ids), anchored)


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
    if min(config.aux_layers) < 0 or max(config.aux_layers) > target.num_layers:
        raise UserError(
            f"The head reads the inputs of layers {list(config.aux_layers)}, but the target has "
            f"only {target.num_layers} layers."
        )
