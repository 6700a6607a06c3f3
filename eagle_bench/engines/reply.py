"""What a serving engine said of one request, in one form for all engines."""

from __future__ import annotations

import re
from dataclasses import dataclass

SERIES = re.compile(r"([\w:]+)(?:\{(.*)\})? (\S+)(?: \d+)?")
POSITION = re.compile(r'position="(\d+)"')


@dataclass(frozen=True)
class Reply:
    """One answer. What an engine does not tell is None, never guessed.

    Attributes
    ----------
    tokens : list of int
        What was generated.
    prompt_tokens, cached_tokens : int or None
        Tokens of the prompt that were computed, and that came from a cache.
    stop_reason : str
        `length` or `eos`, as in our rows.
    drafts : bool
        Whether the server that answered drafts: which arm this was.
    drafted, accepted, rounds : int or None
        Counts of the drafting; None on the baseline, or where only the counters tell.
    accept_lengths : list of int or None
        Accepted drafts of each round, in order.
    prefill_s, decode_s : float or None
        On the engine's own clock.
    """

    tokens: list[int]
    prompt_tokens: int
    cached_tokens: int | None
    stop_reason: str
    drafts: bool
    drafted: int | None
    accepted: int | None
    rounds: int | None
    accept_lengths: list[int] | None
    prefill_s: float | None
    decode_s: float | None


@dataclass(frozen=True)
class Counters:
    """A server's running totals; two readings around a request tell what it did.

    `target_calls` counts calls of the target, its prefill among them.
    """

    generated: int
    target_calls: int
    rounds: int
    drafted: int
    accepted: int
    per_position: tuple[int, ...]

    def since(self, before: Counters) -> Counters:
        """What was counted after `before`; a position it did not know stood at 0."""
        known = before.per_position + (0,) * len(self.per_position)
        return Counters(
            self.generated - before.generated,
            self.target_calls - before.target_calls,
            self.rounds - before.rounds,
            self.drafted - before.drafted,
            self.accepted - before.accepted,
            tuple(now - then for now, then in zip(self.per_position, known, strict=False)),
        )


def read_series(text: str) -> dict[str, float]:
    """Totals of a Prometheus page by name; per-position ones as `name[position]`.

    Series that differ in other labels alone are added.
    """
    totals: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#") or not (match := SERIES.fullmatch(line.strip())):
            continue
        name, labels, value = match.groups()
        position = POSITION.search(labels or "")
        key = f"{name}[{position[1]}]" if position else name
        totals[key] = totals.get(key, 0.0) + float(value)
    return totals


def positions(totals: dict[str, float], name: str) -> tuple[int, ...]:
    """The per-position totals of `name`, as many as there are."""
    found: list[int] = []
    while (key := f"{name}[{len(found)}]") in totals:
        found.append(int(totals[key]))
    return tuple(found)
