"""A head's decoder layer: attention over keys and values (GQA) or over a latent (MLA), MLP."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN

from eagle_bench.config.values import Attention
from eagle_bench.drafters.heads.attention import KERNELS
from eagle_bench.drafters.heads.config import DeepSeekConfig, HeadConfig, MLAConfig
from eagle_bench.drafters.heads.rope import Angles, rotate
from eagle_bench.models.mask import within_window
from eagle_bench.models.norm import Norm


class Cache(Protocol):
    """What a layer asks of a cache; `eagle_bench.models.cache.KVCache` is one.

    Two tensors per layer grow along their third dimension. An MLA layer passes its latent and
    the int32 positions in place of keys and values, so the two may differ in shape and dtype.
    """

    def update(self, k: Tensor, v: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]: ...

    def advance(self, q: int) -> None: ...


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last dimension.

    Attributes
    ----------
    frozen : Norm or None
        The same in fewer operations, once the weight stays as it is (`EagleHead.freeze`).
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps
        self.frozen: Norm | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.frozen is not None:
            return self.frozen(x)
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class HeadAttention(nn.Module):
    """What every attention of a head has: a place in the cache, a kernel, and the same end."""

    o_proj: nn.Linear

    def __init__(self, config: HeadConfig, index: int, attention: Attention) -> None:
        super().__init__()
        self.index, self.heads = index, config.num_heads
        self.attend = KERNELS[attention]
        self.window = config.reading.window

    def attended(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """What the queries see, brought back to the layer's width."""
        out = self.attend(q, k, v, _visible(mask, q, k, self.window))
        return torch.as_tensor(self.o_proj(out))


class GroupedQueryAttention(HeadAttention):
    """Attention with fewer key-value heads than query heads; q, k and v in one product."""

    def __init__(self, config: HeadConfig, width: int, index: int, attention: Attention) -> None:
        super().__init__(config, index, attention)
        self.kv_heads, self.head_dim = config.num_kv_heads, config.head_dim
        rows = (self.heads + 2 * self.kv_heads) * self.head_dim
        self.qkv_proj = nn.Linear(width, rows, bias=config.attention_bias)
        self.o_proj = nn.Linear(
            self.heads * self.head_dim, config.hidden_size, bias=config.output_bias
        )
        self.q_norm = RMSNorm(self.head_dim, config.rms_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(self.head_dim, config.rms_eps) if config.qk_norm else None

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        rope: Angles,
        mask: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        batch, tokens, _ = x.shape
        qkv = self.qkv_proj(x).view(batch, tokens, -1, self.head_dim).transpose(1, 2)
        queries = self.heads + self.kv_heads
        v = qkv[:, queries:]
        cos, sin = rope(positions, x.dtype)
        if self.q_norm is not None and self.k_norm is not None:
            q = rotate(self.q_norm(qkv[:, : self.heads]), cos, sin)
            k = rotate(self.k_norm(qkv[:, self.heads : queries]), cos, sin)
        else:
            rotated = rotate(qkv[:, :queries], cos, sin)
            q, k = rotated[:, : self.heads], rotated[:, self.heads :]
        if cache is not None:
            k, v = cache.update(k, v, self.index)
        return self.attended(q, k, v, mask)


class LatentAttention(HeadAttention):
    """Attention whose cache keeps one normed latent per token.

    Keys and values are made anew from the cached latents at every call, which is exact; RoPE
    acts on the made keys, so the positions are cached beside the latents.
    """

    def __init__(
        self, config: HeadConfig, mla: MLAConfig, width: int, index: int, attention: Attention
    ) -> None:
        super().__init__(config, index, attention)
        self.kv_heads, self.head_dim = config.num_kv_heads, config.head_dim
        self.q_rows = self.heads * self.head_dim
        self.down_proj = nn.Linear(width, self.q_rows + mla.latent_dim, bias=config.attention_bias)
        self.kv_norm = nn.LayerNorm(mla.latent_dim)
        self.up_proj = nn.Linear(mla.latent_dim, 2 * self.kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.q_rows, config.hidden_size, bias=config.output_bias)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        rope: Angles,
        mask: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        batch, tokens, _ = x.shape
        q, latent = self.down_proj(x).split((self.q_rows, self.up_proj.in_features), dim=-1)
        q = q.view(batch, tokens, self.heads, self.head_dim).transpose(1, 2)
        q = rotate(q, *rope(positions, x.dtype))
        latent = self.kv_norm(latent)[:, None]
        places = positions.expand(batch, tokens).to(torch.int32)[:, None, :, None]
        if cache is not None:
            latent, places = cache.update(latent, places, self.index)
        kv = self.up_proj(latent[:, 0]).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        k = rotate(kv[:, : self.kv_heads], *rope(places[:, 0, :, 0], x.dtype))
        return self.attended(q, k, kv[:, self.kv_heads :], mask)


class DeepSeekAttention(HeadAttention):
    """DeepSeek's latent attention: queries and keys of a plain part and one that RoPE turns.

    The cache keeps keys and values, made from the latent once.
    """

    def __init__(
        self, config: HeadConfig, sizes: DeepSeekConfig, width: int, index: int, kernel: Attention
    ) -> None:
        super().__init__(config, index, kernel)
        self.sizes = sizes
        self.gain = _yarn_gain(config.reading.rope.scaling or {})
        rows, eps = self.heads * config.head_dim, config.rms_eps
        if sizes.query_rank is None:
            self.q_proj = nn.Linear(width, rows, bias=False)
        else:
            self.q_a_proj = nn.Linear(width, sizes.query_rank, bias=False)
            self.q_a_layernorm = RMSNorm(sizes.query_rank, eps)
            self.q_b_proj = nn.Linear(sizes.query_rank, rows, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(width, sizes.key_rank + sizes.turned, bias=False)
        self.kv_a_layernorm = RMSNorm(sizes.key_rank, eps)
        made = self.heads * (sizes.plain + sizes.value)
        self.kv_b_proj = nn.Linear(sizes.key_rank, made, bias=False)
        self.o_proj = nn.Linear(
            self.heads * sizes.value, config.hidden_size, bias=config.output_bias
        )

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        rope: Angles,
        mask: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        sizes = self.sizes
        once = sizes.query_rank is None
        q = self.q_proj(x) if once else self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x)))
        q = q.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        latent, turned = self.kv_a_proj_with_mqa(x).split((sizes.key_rank, sizes.turned), dim=-1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).unflatten(-1, (self.heads, -1))
        k, v = kv.transpose(1, 2).split((sizes.plain, sizes.value), dim=-1)
        angles = rope(positions, x.dtype)
        q_turned = rotate(self._paired(q[..., sizes.plain :]), *angles)
        k_turned = rotate(self._paired(turned[:, None]), *angles).expand(-1, self.heads, -1, -1)
        q = torch.cat((q[..., : sizes.plain], q_turned), dim=-1) * self.gain
        k = torch.cat((k, k_turned), dim=-1)
        if cache is not None:
            k, v = cache.update(k, v, self.index)
        return self.attended(q, k, v, mask)

    def _paired(self, x: Tensor) -> Tensor:
        """Dimensions that RoPE pairs, brought half the width apart."""
        if not self.sizes.interleaved:
            return x
        return x.reshape(*x.shape[:-1], -1, 2).transpose(-1, -2).flatten(-2)


def _yarn_gain(scaling: Mapping[str, Any]) -> float:
    """By what yarn's `mscale_all_dim` raises all scores."""
    share, factor = scaling.get("mscale_all_dim"), float(scaling.get("factor", 1.0))
    return (0.1 * share * math.log(factor) + 1.0) ** 2 if share and factor > 1 else 1.0


class MLP(nn.Module):
    """The gated feed-forward block; gate and up in one product."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.gate_up_proj = nn.Linear(width, 2 * inner, bias=config.mlp_bias)
        self.down_proj = nn.Linear(inner, width, bias=config.mlp_bias)
        self.activation = ACT2FN[config.activation]

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return torch.as_tensor(self.down_proj(self.activation(gate) * up))


class Layer(nn.Module):
    """One decoder layer.

    The first layer of an EAGLE-3 head reads the embedding beside the hidden state (width 2H);
    the first of an EAGLE-1/2 head has no input norm; all others are plain.
    """

    def __init__(self, config: HeadConfig, index: int, attention: Attention) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.rms_eps
        self.paired = index == 0 and config.generation == 3
        self.norm_before_residual = config.reading.norm_before_residual
        self.hidden_norm = RMSNorm(width, eps) if self.paired else None
        bare = index == 0 and config.generation != 3
        self.input_layernorm = None if bare else RMSNorm(width, eps)
        self.post_attention_layernorm = RMSNorm(width, eps)
        rows = 2 * width if self.paired else width
        self.self_attn: HeadAttention
        if config.deepseek is not None:
            self.self_attn = DeepSeekAttention(config, config.deepseek, rows, index, attention)
        elif config.mla is not None:
            self.self_attn = LatentAttention(config, config.mla, rows, index, attention)
        else:
            self.self_attn = GroupedQueryAttention(config, rows, index, attention)
        self.mlp = MLP(config)

    def forward(
        self,
        embeds: Tensor,
        hidden: Tensor,
        positions: Tensor,
        rope: Angles,
        mask: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """Hidden state `[batch, tokens, hidden_size]` after the layer."""
        residual = hidden
        if self.hidden_norm is not None and self.input_layernorm is not None:
            normed = self.hidden_norm(hidden)
            if self.norm_before_residual:
                residual = normed
            x = torch.cat((self.input_layernorm(embeds), normed), dim=-1)
        else:
            x = hidden if self.input_layernorm is None else self.input_layernorm(hidden)
        hidden = residual + self.self_attn(x, positions, rope, mask, cache)
        return hidden + torch.as_tensor(self.mlp(self.post_attention_layernorm(hidden)))


def _visible(mask: Tensor | None, q: Tensor, k: Tensor, window: int | None) -> Tensor | None:
    """What the caller's mask shows, or else all keys up to a query's own, within the window."""
    tokens, entries = q.shape[2], k.shape[2]
    reaches = window is not None and window < entries
    if mask is None and (tokens > 1 or reaches):
        seen = torch.ones(tokens, entries, dtype=torch.bool, device=q.device)
        mask = seen.tril(entries - tokens)[None, None]
    if mask is None or window is None or not reaches:
        return mask
    return within_window(mask, window)
