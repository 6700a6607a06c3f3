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
    tokens : list of int or None
        What was generated; None where the server sends text alone.
    new_tokens : int
        How many they were, as the engine counts.
    stop_reason : str
        `length` or `eos`, as in our rows.
    text : str
        What a server that sends no ids sends.
    prompt_tokens, cached_tokens : int or None
        Tokens of the prompt that were computed, and that came from a cache.
    drafts : bool or None
        Whether the server that answered drafts: which arm this was.
    drafted, accepted, rounds : int or None
        Counts of the drafting; None on the baseline, or where only the counters tell.
    accept_lengths : tuple of int or None
        Accepted drafts of each round, in order.
    per_position : tuple of int or None
        Rounds in which the draft in that position was accepted.
    prefill_s, decode_s : float or None
        On the engine's own clock.
    """

    tokens: list[int] | None
    new_tokens: int
    stop_reason: str
    text: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    drafts: bool | None = None
    drafted: int | None = None
    accepted: int | None = None
    rounds: int | None = None
    accept_lengths: tuple[int, ...] | None = None
    per_position: tuple[int, ...] | None = None
    prefill_s: float | None = None
    decode_s: float | None = None


@dataclass(frozen=True)
class Counters:
    """A server's running totals; two readings around a request tell what it did.

    `target_calls` counts calls of the target, its prefill among them. None is what it has no
    counter of.
    """

    generated: int
    target_calls: int | None
    rounds: int | None
    drafted: int | None
    accepted: int | None
    per_position: tuple[int, ...]

    def since(self, before: Counters) -> Counters:
        """What was counted after `before`; a position it did not know stood at 0."""
        known = before.per_position + (0,) * len(self.per_position)
        return Counters(
            self.generated - before.generated,
            _more(self.target_calls, before.target_calls),
            _more(self.rounds, before.rounds),
            _more(self.drafted, before.drafted),
            _more(self.accepted, before.accepted),
            tuple(now - then for now, then in zip(self.per_position, known, strict=False)),
        )


def _more(now: int | None, then: int | None) -> int | None:
    return None if now is None or then is None else now - then


def total(totals: dict[str, float], name: str) -> int | None:
    """The total of `name`; None where the page has no such series."""
    return int(totals[name]) if name in totals else None


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


def at_positions(histogram: list[int]) -> tuple[int, ...]:
    """Rounds that accepted each position, from the rounds that accepted 0, 1, ... drafts."""
    return tuple(sum(histogram[position:]) for position in range(1, len(histogram)))
