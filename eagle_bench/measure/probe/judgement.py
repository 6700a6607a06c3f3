"""What a head says of the target's choices, place by place, under one reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eagle_bench.config.values import Attention, dtype_name
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.ttt import ttt_hidden, use_ttt_attention
from eagle_bench.errors import UserError
from eagle_bench.measure.probe.continuation import DRAFT_STEPS, Continuation, all_choices
from eagle_bench.measure.probe.readings import Reading
from eagle_bench.models.target import Target

KNOWN_TEXT = 0.5
"""Share of hits above which a head knows a text."""

FLOOR = -12.0
"""Log-probability of a token that the head cannot propose; lower ones count as this."""


@dataclass(frozen=True)
class Judgement:
    """What a head said at every judged place, step by step.

    Attributes
    ----------
    log_probs : Tensor
        float `[places]`, of the target's choice.
    ids : Tensor
        int64 `[places]`, the head's best tokens as target ids.
    """

    log_probs: Tensor
    ids: Tensor

    @property
    def loss(self) -> float:
        """Mean negative log-probability, in nats a token."""
        return -self.log_probs.nan_to_num(nan=FLOOR).mean().item()


def judge(
    head: EagleHead, target: Target, texts: Sequence[Continuation], reading: Reading
) -> Judgement:
    """What the head says at these places under `reading`.

    The drafting is EAGLE-3's training-time test (`drafters/heads/ttt.py`).
    """
    twin = head.variant(reading.config.reading, Attention.sdpa)
    use_ttt_attention(twin)
    embed = twin.embed if twin.embed_tokens is not None else target.embed
    drafted: list[list[Tensor]] = [[] for _ in range(DRAFT_STEPS)]
    for text in texts:
        features = torch.cat([text.layers[each][:, :-1] for each in reading.aux], -1)
        slot = twin.mask_embeds(target.embed)
        states = ttt_hidden(twin, embed(text.tokens), features, DRAFT_STEPS, slot)
        for step, hidden in enumerate(states):
            drafted[step].append(twin.logits(hidden[0, text.places(step)]))
    logits = torch.cat([part for step in drafted for part in step]).float()
    own_ids = torch.arange(logits.shape[-1], device=logits.device)
    ids = twin.to_target(own_ids)
    over_target = logits.new_full((len(logits), target.spec.vocab_size), FLOOR)
    over_target[:, ids] = logits.log_softmax(-1).clamp(min=FLOOR)
    chosen = over_target.gather(1, all_choices(texts)[:, None])[:, 0]
    return Judgement(chosen, ids[logits.argmax(-1)])


def check_head(said: Judgement, of_prompt: Tensor, target: Target) -> None:
    """Such a head drafts its first token over and over; a run would measure that, losslessly."""
    broken = said.log_probs.isnan()
    if broken.any():
        dtype = dtype_name(target.spec.dtype)
        raise UserError(
            f"The head's logits are not finite in the pre-flight (dtype={dtype}), first on its "
            f"prompt {int(of_prompt[broken][0])}; use dtype=bfloat16 or float32, or mend the "
            "head's weights."
        )


def scores_of(said: Sequence[Judgement], choices: Tensor) -> Tensor:
    """What the readings are compared by: float `[readings, places]`.

    Log-probabilities see a small misfit long before hits do, but only of a head that knows the
    text. On strange text the reading that is least sure of itself loses least, and a head that
    is read rightly would be accused: there the hits decide.
    """
    hits = torch.stack([each.ids == choices for each in said]).float()
    if hits.mean(1).max() > KNOWN_TEXT:
        return torch.stack([each.log_probs for each in said]).nan_to_num(nan=FLOOR)
    return hits


def share(hits: Tensor) -> float:
    return hits.float().mean().item()
