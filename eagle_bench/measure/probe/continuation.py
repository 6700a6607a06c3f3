"""Prompts continued by the target: the places at which an EAGLE head is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eagle_bench.decoding.build import plain_greedy
from eagle_bench.models.finite import check_finite
from eagle_bench.models.read import read
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Request

NAME = "pre-flight"
DRAFT_STEPS = 3
TOKENS_EACH = 48
WINDOW = 512
"""Last tokens of a prompt and its continuation that the head reads."""


@dataclass(frozen=True)
class Continuation:
    """The end of one prompt with what the target made of it.

    Attributes
    ----------
    tokens : Tensor
        `[1, n]`, prompt and continuation.
    choices : Tensor
        `[n]`, the target's best token after each of `tokens`.
    answer_from : int
        Index of the first continued token.
    layers : dict[int, Tensor]
        By layer, the hidden states `[1, n, hidden]` at that layer's input.
    """

    tokens: Tensor
    choices: Tensor
    answer_from: int
    layers: dict[int, Tensor]

    def places(self, step: int) -> slice:
        """Indices of the features from which draft step `step` draws a continued token."""
        return slice(max(self.answer_from - 2 - step, 0), self.tokens.shape[1] - 1 - step)

    def chosen(self, step: int) -> Tensor:
        """What the target chose at `places(step)`."""
        places = self.places(step)
        return self.choices[places.start + 1 + step : places.stop + 1 + step]


def continued(
    target: Target, prompts: Sequence[list[int]], layers: Sequence[int]
) -> list[Continuation]:
    """The target's greedy continuations of the prompts that leave room for one.

    Raises
    ------
    UserError
        The target's logits are not finite somewhere in them.
    """
    room = target.spec.max_positions
    requests = [
        Request(str(index), prompt, min(TOKENS_EACH, room - len(prompt)))
        for index, prompt in enumerate(prompts)
        if len(prompt) + DRAFT_STEPS + 2 < room
    ]
    if not requests:
        return []
    said = {
        each.request.key: each.tokens
        for each in plain_greedy(target, NAME).generate(requests, len(requests))
    }
    before = target.spec.aux_layers
    target.set_aux_layers(tuple(layers))
    found = []
    for request in requests:
        tokens = torch.tensor([[*request.tokens, *said[request.key]]], device=target.spec.device)
        step = read(target, tokens, features=True)
        assert step.features is not None
        check_finite(step.logits, target, tokens[0].tolist(), NAME, request.key)
        cut = max(tokens.shape[1] - WINDOW, 0)
        parts = step.features[:, cut:].chunk(len(layers), dim=-1)
        found.append(
            Continuation(
                tokens[:, cut:],
                step.logits[0, cut:].argmax(-1),
                len(request.tokens) - cut,
                dict(zip(layers, parts, strict=True)),
            )
        )
    target.set_aux_layers(before)
    return found


def all_choices(texts: Sequence[Continuation]) -> Tensor:
    """What the target chose at every judged place: int64 `[places]`, step by step."""
    return torch.cat([each.chosen(step) for step in range(DRAFT_STEPS) for each in texts])


def all_prompts(texts: Sequence[Continuation]) -> Tensor:
    """Which of `texts` every judged place is in: int64 `[places]`, step by step."""
    return torch.cat(
        [
            torch.full_like(each.chosen(step), index)
            for step in range(DRAFT_STEPS)
            for index, each in enumerate(texts)
        ]
    )
