"""What the methods without a KV cache share: every call starts from the first token again.

They are references that show what a cache is worth: greedy, a chain drafted by an EAGLE head,
one sequence at a time.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from eagle_bench.decoding.draft import Draft, no_draft
from eagle_bench.decoding.methods.grow import grow
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.drafters.pick import Best
from eagle_bench.machine.clock import synchronizer
from eagle_bench.models.read import read
from eagle_bench.models.target import Step, Target
from eagle_bench.records.generation import Generation, Request, Round


@dataclass(frozen=True)
class Iteration:
    """What one iteration yields; `drafted` is None when it was a prompt's call, not a round."""

    tokens: list[int]
    target_calls: int
    context_len: int
    drafted: int | None = None
    accepted: int = 0


class Uncached(ABC):
    """An arm without a cache."""

    name: str
    unemitted: int = 0
    """Verified tokens that the last iteration never emits: part of the overshoot."""

    def __init__(
        self, target: Target, drafter: Drafter, draft_len: int, *, ignore_eos: bool
    ) -> None:
        self.target = target
        self.drafter = drafter
        self.draft_len = draft_len
        self.max_nodes = self.max_extended = draft_len
        self.eos_ids = frozenset[int]() if ignore_eos else target.spec.stops

    @abstractmethod
    def iterations(self, prompt: list[int]) -> Iterator[Iteration]:
        """Iterations without end; they are asked for until the generation is over."""

    def generate(self, requests: Iterable[Request], batch_size: int = 1) -> Iterator[Generation]:
        """Run the requests one after another."""
        for request in requests:
            yield self._generate(request)

    @torch.inference_mode()
    def _generate(self, request: Request) -> Generation:
        generation = Generation(request, overshoot=self.unemitted)
        calls_before = self.drafter.calls
        synchronizer(self.target.spec.device)()
        generation.started_s = time.perf_counter()
        for each in self.iterations(request.tokens):
            generation.target_calls += each.target_calls
            position = len(generation.tokens)
            done = generation.emit(each.tokens, self.eos_ids)
            now_s = time.perf_counter()
            generation.wall_s = now_s - generation.started_s
            generation.prefill_s = generation.prefill_s or generation.wall_s
            if each.drafted is not None:
                generation.rounds.append(
                    Round(
                        position,
                        each.context_len,
                        each.drafted,
                        each.drafted,
                        each.accepted,
                        ended_s=now_s,
                    )
                )
            if done:
                break
        generation.draft_calls = self.drafter.calls - calls_before
        return generation


def run_uncached(target: Target, context: list[int], draft: Draft, *, features: bool) -> Step:
    """One call over the whole context and the draft behind it, on a cache that is thrown away."""
    device = target.spec.device
    tokens = torch.cat((torch.tensor([context], device=device), draft.tokens), dim=1)
    return read(target, tokens, features=features)


def room_behind(target: Target, context: list[int]) -> int:
    """How many tokens fit behind the context and its root."""
    return max(0, target.spec.max_positions - 1 - len(context))


def draft_afresh(
    target: Target,
    drafter: Drafter,
    context: list[int],
    root: int,
    features: Tensor | None,
    draft_len: int,
) -> Draft:
    """A chain behind `root`, as long as the positions allow, from a drafter that starts anew.

    `features` `[1, len(context), width]` are the context's.
    """
    room = room_behind(target, context)
    if room == 0:
        return no_draft(1, target.spec.device)
    drafter.start(1, len(context) + draft_len + 2)
    drafter.prefill(0, context, root, features, "")
    return grow(drafter, min(draft_len, room), draft_len, Best(1))
