"""The blocks behind many places of a text at once: what drafting behind each would see."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eagle_bench.drafters.heads.block import BlockHead, BlockLayer
from eagle_bench.drafters.heads.ttt import StepKeys


def block_states(
    head: BlockHead,
    embed: Callable[[Tensor], Tensor],
    tokens: Tensor,
    features: Tensor,
    roots: Tensor,
) -> Tensor:
    """What the slots of each block say; `head` must attend as `block_attention` does.

    Parameters
    ----------
    tokens : Tensor
        int64 `[batch, n]`.
    features : Tensor
        `[batch, seq, features]` of the first `seq` tokens.
    roots : Tensor
        int64 `[batch, blocks]`: the indices of the tokens that blocks begin with, from 1.

    Returns
    -------
    Tensor
        `[batch, blocks, levels, hidden]`; level j behind root i draws token i + 1 + j.
    """
    config, seq = head.config, features.shape[1]
    blocks = tokens.new_full((*roots.shape, config.block_size), config.mask_token)
    blocks[..., 0] = tokens.gather(1, roots)
    context = torch.arange(seq, device=tokens.device)
    slots = roots[..., None] + torch.arange(config.block_size, device=tokens.device)
    positions = torch.cat((context.expand(len(tokens), -1), slots.flatten(1)), dim=1)
    known = context < roots[..., None]
    slotted = head.embeds(embed, blocks.flatten(1))
    states: Tensor = head(slotted, features, positions, known, StepKeys())
    return states.view(*blocks.shape, -1)[:, :, config.silent :]


def block_attention(q: Tensor, k: Tensor, v: Tensor, known: Tensor) -> Tensor:
    """Each block over its context and itself: `[batch, blocks * size, heads * dim]`.

    Parameters
    ----------
    q : Tensor
        `[batch, heads, blocks * size, dim]`.
    k, v : Tensor
        `[batch, kv_heads, seq + blocks * size, dim]`.
    known : Tensor
        bool `[batch, blocks, seq]`, true where a block sees the context.
    """
    batch, blocks, seq = known.shape
    heads, dim = q.shape[1], q.shape[3]
    groups, apart = heads // k.shape[1], (batch, heads, blocks, -1, dim)
    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    q = q * dim**-0.5
    context = (q @ k[:, :, :seq].transpose(2, 3)).view(*apart[:-1], seq)
    context = context.masked_fill(~known[:, None, :, None], -torch.inf)
    own_k, own_v = (each[:, :, seq:].reshape(apart) for each in (k, v))
    scores = torch.cat((context, q.reshape(apart) @ own_k.transpose(3, 4)), dim=-1)
    shares: Tensor = scores.softmax(-1).to(v.dtype)
    out = shares[..., :seq].flatten(2, 3) @ v[:, :, :seq]
    out = out + (shares[..., seq:] @ own_v).flatten(2, 3)
    return out.transpose(1, 2).flatten(2)


def use_block_attention(head: BlockHead) -> None:
    """Let every layer of `head` attend as many blocks at once do."""
    for layer in head.layers:
        assert isinstance(layer, BlockLayer)
        layer.attend = block_attention
