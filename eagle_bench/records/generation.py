"""What goes into a generation and what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from eagle_bench.records.counts import Told

BASELINE = "baseline"
"""The arm that drafts nothing."""


def turn_key(prompt_id: str, turn: int) -> str:
    """The key of one turn's request."""
    return f"{prompt_id}/{turn}"


@dataclass(frozen=True)
class Request:
    """One prompt to continue. `key` names its random numbers and its recorded baseline."""

    key: str
    tokens: list[int]
    gen_len: int


@dataclass(frozen=True)
class Round:
    """One draft-verify round of one row; `position` counts emitted tokens before it.

    `ended_s` is on the clock of the generation's `started_s`.
    """

    position: int
    context_len: int
    depth: int
    nodes: int
    accepted: int
    phases_s: dict[str, float] = field(default_factory=dict)
    ended_s: float = field(default=0.0, compare=False)


@dataclass
class Generation:
    """A finished generation: its tokens, its counts, its times (seconds).

    `told` is what a server said of it, in place of our rounds.
    """

    request: Request
    tokens: list[int] = field(default_factory=list)
    stop_reason: str = ""
    target_calls: int = 0
    draft_calls: int = 0
    overshoot: int = 0
    rounds: list[Round] = field(default_factory=list)
    started_s: float = 0.0
    prefill_s: float = 0.0
    wall_s: float = 0.0
    told: Told | None = None

    @property
    def accept_lengths(self) -> list[int]:
        return [each.accepted for each in self.rounds]

    @property
    def round_seconds(self) -> list[float]:
        """Seconds of each round, from the end of the one before it; of the first from the first
        token, or from the start where the round itself gave that."""
        moments = [self.started_s + self.prefill_s, *(each.ended_s for each in self.rounds)]
        if self.rounds and self.rounds[0].position == 0:
            moments[0] = self.started_s
        return [end_s - begin_s for begin_s, end_s in pairwise(moments)]

    def emit(self, tokens: list[int], eos_ids: frozenset[int]) -> bool:
        """Append up to EOS or `gen_len`, count what is cut off; whether this was the end."""
        room = self.request.gen_len - len(self.tokens)
        stops = [place for place, token in enumerate(tokens[:room], 1) if token in eos_ids]
        kept = stops[0] if stops else min(len(tokens), room)
        self.tokens += tokens[:kept]
        self.overshoot += len(tokens) - kept
        if stops:
            self.stop_reason = "eos"
        elif len(self.tokens) == self.request.gen_len:
            self.stop_reason = "length"
        return bool(self.stop_reason)


class Arm(Protocol):
    """Something that turns requests into generations, `batch_size` at a time."""

    name: str
    max_nodes: int
    """Most nodes that the target verifies in a round."""
    max_extended: int
    """Most nodes that the drafter runs in a round."""

    def generate(self, requests: Iterable[Request], batch_size: int = 1) -> Iterator[Generation]:
        """Generations in the order in which they end."""
        ...
