"""Attention of many query heads over few key-value heads, without copies of either.

The queries that share a key-value head become rows of one attention, so kernels that know
neither groups nor masks together (those of a GPU) take it, and a single token's keys are read
once for all of its heads.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

torch.backends.cuda.enable_cudnn_sdp(False)
# cuDNN's attention, torch's first choice on Hopper, builds a plan for every new length of the
# cache: on an H200 a step of an 8B target took 45 ms instead of 8 (experiments/gpu).

ALIGNED = 8
"""Entries to which a GPU's kernels want a mask's rows padded."""


def attention_bias(mask: Tensor, groups: int, dtype: torch.dtype) -> Tensor:
    """A mask as `attend` takes it, made once for all layers.

    Parameters
    ----------
    mask : Tensor
        bool `[batch, 1, q, kv]`, true where visible.
    groups : int
        Query heads to a key-value head.

    Returns
    -------
    Tensor
        `[batch, 1, groups * q, kv]`: 0 where visible, else minus infinity.
    """
    batch, _, q, kv = mask.shape
    rows = torch.zeros(batch, 1, groups, q, kv + -kv % ALIGNED, dtype=dtype, device=mask.device)[
        ..., :kv
    ].masked_fill_(~mask[:, :, None], -torch.inf)
    return rows.flatten(2, 3)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, causal: bool = False) -> Tensor:
    """Attention `[batch, q, heads * value_dim]`.

    Parameters
    ----------
    q : Tensor
        `[batch, heads, q, dim]`.
    k, v : Tensor
        `[batch, kv_heads, kv, dim]`; the values' `dim` may be another.
    bias : Tensor or None
        From `attention_bias`; None lets every query see every key, or with `causal` those up to
        its own.
    """
    batch, heads, rows, dim = q.shape
    kv_heads = k.shape[1]
    if causal:
        grouped = heads != kv_heads
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
        return out.transpose(1, 2).flatten(2)
    folded = q.reshape(batch, kv_heads, -1, dim)
    out = F.scaled_dot_product_attention(folded, k, v, attn_mask=bias)
    apart = out.view(batch, kv_heads, -1, rows, v.shape[-1])
    return apart.permute(0, 3, 1, 2, 4).reshape(batch, rows, -1)
