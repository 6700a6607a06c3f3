"""The network of a DFlash head: a block of slots, denoised in one pass beside the context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from transformers import Qwen3Config
from transformers.models.qwen3 import modeling_qwen3 as qwen3

from eagle_bench.drafters.heads.layer import Cache, RMSNorm
from eagle_bench.drafters.heads.rope import rotate
from eagle_bench.models.attention import attend, attention_bias


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
        return self.block_size - self.silent

    @property
    def silent(self) -> int:
        """Slots at the beginning of a block that draft nothing."""
        return int(not self.from_anchor)


def attend_masked(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention under a bool mask `[batch, 1, q, kv]`."""
    return attend(q, k, v, attention_bias(mask, q.shape[1] // k.shape[1], q.dtype))


class BlockLayer(nn.Module):
    """A decoder layer whose keys and values are the context's and the block's."""

    attend: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

    def __init__(self, config: Qwen3Config, index: int) -> None:
        super().__init__()
        self.attend = attend_masked
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
        block = block + attention["o_proj"](self.attend(q, k, v, mask))
        return block + torch.as_tensor(self.mlp(self.post_attention_layernorm(block)))

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


class BlockHead(nn.Module):
    """The layers of a DFlash head over features of its target (arXiv 2602.06036)."""

    rotary: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    target_ids: Tensor | None
    mask_embedding: Tensor | None

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
        self.register_buffer("target_ids", None, persistent=False)
        self.register_buffer("mask_embedding", None, persistent=False)

    def embeds(self, embed: Callable[[Tensor], Tensor], block: Tensor) -> Tensor:
        """Embeddings of ids `[batch, n]`: the target's, but for a mask of the head's own."""
        if self.mask_embedding is None:
            return embed(block)
        masked = block == self.config.mask_token
        known = embed(block.masked_fill(masked, 0))
        return torch.where(masked[..., None], self.mask_embedding, known)

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
