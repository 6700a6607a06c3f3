"""What a drafter says over a given text: each draft position judged with the true tokens given.

Position k draws a token from features that end k + 1 tokens before it, as the draft step k of
a real round does, but beside the text's own tokens instead of earlier drafts. A draft model
reads tokens alone, so all its positions say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

import torch
from torch import Tensor

from eagle_bench.config.values import Attention
from eagle_bench.drafters.draft_model import DraftModelDrafter
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.drafters.heads.ttt import (
    draftable,
    soft_cross_entropy,
    ttt_hidden,
    use_ttt_attention,
)
from eagle_bench.figures.judged import Forced
from eagle_bench.models.read import read
from eagle_bench.models.target import Target


class Speaker(Protocol):
    """A drafter that can be asked over a whole text at once."""

    needs_features: bool

    def ids(self, vocab_size: int) -> Tensor:
        """Target ids of what it can propose, in its own order: int64 `[draft_vocab]`."""
        ...

    def logits(
        self, tokens: Tensor, features: Tensor | None, first: int, positions: int
    ) -> Iterator[Tensor]:
        """For each position `[n - first, draft_vocab]`: what it says of `tokens[0, first:]`."""
        ...


class HeadSpeaker:
    """An EAGLE head, by training-time test."""

    needs_features = True

    def __init__(self, drafter: Eagle3Drafter, target: Target) -> None:
        self.head = drafter.head.variant(drafter.head.config.reading, Attention.sdpa)
        use_ttt_attention(self.head)
        self._embed = self.head.embed if self.head.embed_tokens is not None else target.embed
        self._slot = self.head.mask_embeds(target.embed)
        self._device = target.spec.device

    def ids(self, vocab_size: int) -> Tensor:
        return draftable(self.head, self._device)

    def logits(
        self, tokens: Tensor, features: Tensor | None, first: int, positions: int
    ) -> Iterator[Tensor]:
        assert features is not None
        n = tokens.shape[1]
        embeds = self._embed(tokens)
        states = ttt_hidden(self.head, embeds, features[:, :-1], positions, self._slot)
        for step, hidden in enumerate(states):
            yield self.head.logits(hidden[0, first - 2 - step : n - 2 - step])


class ModelSpeaker:
    """A draft model, by one forward pass."""

    needs_features = False

    def __init__(self, drafter: DraftModelDrafter) -> None:
        self.model, self._known = drafter.model, drafter.known

    def ids(self, vocab_size: int) -> Tensor:
        own = min(vocab_size, self.model.spec.vocab_size)
        return torch.arange(own, device=self.model.spec.device)

    def logits(
        self, tokens: Tensor, features: Tensor | None, first: int, positions: int
    ) -> Iterator[Tensor]:
        n = tokens.shape[1]
        step = read(self.model, self._known(tokens))
        for _ in range(positions):
            yield step.logits[0, first - 1 : n - 1]


def speaker(drafter: Eagle3Drafter | DraftModelDrafter, target: Target) -> Speaker:
    """The drafter as one that can be asked over a whole text."""
    if drafter.needs_features:
        return HeadSpeaker(cast(Eagle3Drafter, drafter), target)
    return ModelSpeaker(cast(DraftModelDrafter, drafter))


@torch.inference_mode()
def force(
    drafter: Speaker, target: Target, context: list[int], answer: list[int], positions: int
) -> Forced:
    """Judge `drafter` on `answer` at draft positions 0..`positions`-1.

    Every position judges the same tokens: all of the answer, less those so early in the text
    that a position has no feature to start from. The text has more than `positions` + 1 tokens.
    """
    ids = torch.tensor([[*context, *answer]], device=target.spec.device)
    n = ids.shape[1]
    first = max(len(context), positions + 1)
    step = read(target, ids, features=drafter.needs_features)
    said = step.logits[0, first - 1 : n - 1]
    choices = said.argmax(-1)
    known = drafter.ids(said.shape[-1])
    wanted = said[:, known].float().softmax(-1)
    drafted, losses = [], []
    for logits in drafter.logits(ids, step.features, first, positions):
        drafted.append(known[logits[:, : len(known)].argmax(-1)])
        losses.append(soft_cross_entropy(logits[:, : len(known)], wanted))
    return Forced(
        ids[0, first:].cpu().numpy(),
        choices.cpu().numpy(),
        torch.stack(drafted).cpu().numpy(),
        torch.stack(losses).cpu().numpy(),
        torch.isin(choices, known).cpu().numpy(),
    )
