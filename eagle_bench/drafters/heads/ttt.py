"""Training-time test: the draft steps from every place of a text at once, true tokens given.

Step 0 reads the target's features. Step k reads what step k-1 put out at the same index,
beside the token k places further on; its query sees the causal keys of step 0 and its own
index in the later steps, at RoPE position + k: just what k sequential draft steps see
(EAGLE-3 paper, section 3; `eagle3.md` 4). Training, pre-flight and proxy all run it.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.layer import HeadAttention


class StepKeys:
    """Keys and values of all TTT steps so far, one behind the other, with gradients."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, k: Tensor, v: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        if layer_idx in self.layers:
            keys, values = self.layers[layer_idx]
            k, v = torch.cat((keys, k), dim=2), torch.cat((values, v), dim=2)
        self.layers[layer_idx] = (k, v)
        return k, v

    def advance(self, q: int) -> None:
        pass


def ttt_hidden(
    head: EagleHead, embeds: Tensor, features: Tensor, steps: int, slot: Tensor | None = None
) -> list[Tensor]:
    """The head's output at each TTT step; `head` must attend as `ttt_attention` does.

    Parameters
    ----------
    embeds : Tensor
        `[batch, seq + 1, hidden]`, embeddings of the tokens; index i + 1 goes with feature i.
    features : Tensor
        `[batch, seq, features * target_hidden]`, what `head.fuse` takes.
    slot : Tensor or None
        `head.mask_embeds`: what stands in every step after step 0 of a P-EAGLE head, whose
        slots see what a draft step sees.

    Returns
    -------
    list of Tensor
        `steps` states `[batch, seq, hidden]`; step k at index i draws token i + 2 + k.
    """
    seq = features.shape[1]
    device = features.device
    unread = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)
    positions = torch.arange(seq, device=device)[None]
    hidden, keys = head.fuse(features), StepKeys()
    shifted = embeds[:, 1:]
    outputs = []
    for step in range(steps):
        if step and slot is not None:
            assert head.mask_hidden is not None
            shifted = slot.expand_as(shifted)
            hidden = head.fuse(head.mask_hidden).expand_as(hidden)
        elif step:
            shifted = F.pad(embeds[:, 1 + step :], (0, 0, 0, step))
        hidden = head(shifted, hidden, positions + step, unread, keys)
        outputs.append(hidden)
    return outputs


def draftable(head: EagleHead, device: torch.device) -> Tensor:
    """Target ids of the head's draft tokens, in their order: int64 `[draft_vocab]`."""
    return head.to_target(torch.arange(head.config.draft_vocab_size, device=device))


def soft_cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """The training's loss at each place, in nats, float32 `[...]`.

    Parameters
    ----------
    logits : Tensor
        `[..., draft_vocab]` of the drafter.
    wanted : Tensor
        float32 `[..., draft_vocab]`: the softmax of the target's logits for the same tokens,
        its distribution renormalised over what can be drafted.
    """
    return -(wanted * logits.float().log_softmax(-1)).sum(-1)


def ttt_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, window: int | None = None
) -> Tensor:
    """`[batch, seq, heads * dim]` from keys and values `[batch, kv_heads, steps * seq, dim]`.

    Causal over step 0, its own index in every later step: the same result as dense attention
    over all steps' keys under a step mask, at a quarter of the work for seven steps, since a
    later step shows each query one key. Of these it sees the latest `window`.
    """
    seq, groups = q.shape[2], q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    first_k, *later_k = torch.split(k, seq, dim=2)
    first_v, *later_v = torch.split(v, seq, dim=2)
    q = q * q.shape[-1] ** -0.5
    hidden = torch.ones(seq, seq, dtype=torch.bool, device=q.device).triu(1)
    if window is not None:
        hidden |= torch.ones_like(hidden).tril(len(later_k) - window)
        later_k, later_v = later_k[-window:], later_v[-window:]
    scores = (q @ first_k.transpose(2, 3)).masked_fill(hidden, -torch.inf)
    own = [(q * key).sum(-1, keepdim=True) for key in later_k]
    shares: Tensor = torch.cat((scores, *own), dim=-1).softmax(-1).to(v.dtype)
    out: Tensor = shares[..., :seq] @ first_v
    for step, value in enumerate(later_v):
        out = out + shares[..., seq + step : seq + step + 1] * value
    return out.transpose(1, 2).flatten(2)


def use_ttt_attention(head: EagleHead) -> None:
    """Let every layer of `head` attend as training-time test does."""
    for attention in head.modules():
        if isinstance(attention, HeadAttention):
            attention.attend = partial(ttt_attention, window=attention.window)
