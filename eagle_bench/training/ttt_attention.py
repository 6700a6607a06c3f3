"""Attention of training-time test: causal over step 0, its own index in every later step.

The same result as dense attention over all steps' keys under `step_mask`, at a quarter of the
work for seven steps, since a later step shows each query one key.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.layer import GroupedQueryAttention, LatentAttention


def ttt_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """`[batch, heads, seq, dim]` from keys and values `[batch, kv_heads, steps * seq, dim]`."""
    seq, groups = q.shape[2], q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    first_k, *later_k = torch.split(k, seq, dim=2)
    first_v, *later_v = torch.split(v, seq, dim=2)
    q = q * q.shape[-1] ** -0.5
    future = torch.ones(seq, seq, dtype=torch.bool, device=q.device).triu(1)
    scores = (q @ first_k.transpose(2, 3)).masked_fill(future, -torch.inf)
    own = [(q * key).sum(-1, keepdim=True) for key in later_k]
    shares: Tensor = torch.cat((scores, *own), dim=-1).softmax(-1).to(v.dtype)
    out: Tensor = shares[..., :seq] @ first_v
    for step, value in enumerate(later_v):
        out = out + shares[..., seq + step : seq + step + 1] * value
    return out


def use_ttt_attention(head: EagleHead) -> None:
    """Let every layer of `head` attend as training-time test does."""
    for attention in head.modules():
        if isinstance(attention, (GroupedQueryAttention, LatentAttention)):
            attention.attend = ttt_attention
