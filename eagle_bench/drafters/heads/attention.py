"""The attention kernels a head can use. They differ in speed, not in result."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from eagle_bench.config.values import Attention
from eagle_bench.models.attention import attend, attention_bias

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""`(q [B, heads, T, D], k, v [B, kv_heads, S, D], mask [B or 1, 1, T, S] or None)`
gives `[B, T, heads * D]`; a None mask lets every query see every key."""


def sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """`scaled_dot_product_attention`, the heads of a group as rows of one attention."""
    groups = q.shape[1] // k.shape[1]
    return attend(q, k, v, None if mask is None else attention_bias(mask, groups, q.dtype))


def eager(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Scores, softmax and weighted sum, each written out."""
    groups = q.shape[1] // k.shape[1]
    k = k.repeat_interleave(groups, dim=1)
    v = v.repeat_interleave(groups, dim=1)
    scores: Tensor = q @ k.transpose(-1, -2) * float(q.shape[-1]) ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return _joined(torch.matmul(scores.float().softmax(dim=-1).to(q.dtype), v))


def flex(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """`flex_attention`, compiled on a GPU and as written elsewhere."""

    def hide(score: Tensor, b: Tensor, _head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        assert mask is not None
        row = b if mask.shape[0] > 1 else torch.zeros_like(b)
        return torch.where(mask[row, 0, i, j], score, float("-inf"))

    kernel = _compiled_flex() if q.is_cuda else flex_attention
    return _joined(kernel(q, k, v, score_mod=hide if mask is not None else None, enable_gqa=True))


def _joined(out: Tensor) -> Tensor:
    """`[B, heads, T, D]` as `[B, T, heads * D]`."""
    return out.transpose(1, 2).flatten(2)


@cache
def _compiled_flex() -> Any:
    return torch.compile(flex_attention, dynamic=True)


KERNELS: dict[Attention, Kernel] = {
    Attention.sdpa: sdpa,
    Attention.eager: eager,
    Attention.flex_attention: flex,
    Attention.flex_attention_mla: flex,
}
