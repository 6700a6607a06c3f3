"""Rounds that took far longer than such rounds take, and whether others' work explains it.

Stalls only ever lengthen a round, so what rounds of an arm and shape take at a context is read
off their fast end: the fastest tenth stays what it is until nine tenths are stalled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eagle_bench.records.generation import BASELINE
from eagle_bench.records.rowfiles import TakeKey, take_key
from eagle_bench.records.rows import GenerationRow, RoundRow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Group = tuple[str, int]

PREFILL, OPENING = -1, -2
"""Kinds of pieces that are no plain round: until the first token, and a method's first round,
which holds the drafter's own prefill. A plain round's kind is its number of drafted nodes."""
FEWEST = 8
"""Pieces of one kind that say what such pieces take."""
PER_LEVEL, MOST_LEVELS = 64, 32
FAST, NEXT = 0.10, 0.25
REACH = 10.0
"""Of the distance between the fastest tenth and the fastest quarter: 4.9 standard deviations above
the median of normal jitter."""
MOST_REACH = 0.5
"""Of the fastest tenth's time: far outside, however many stalls have spread the quarter."""
TOLERATED = 0.02
"""Stalled share of a generation's other time from which it is no longer as good as undisturbed."""
EXPLAINED = 0.5
"""Share of the stalled seconds that others, or our own work, must fill to answer for them."""
TICKS_S = 0.05
"""Work in `/proc/stat` is counted in ticks of 10 ms on each core: less may be their rounding."""
OWN = "own work"
OTHERS, STEAL, THROTTLING, GPU = "others' cores", "steal", "throttling", "others on the GPU"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Pieces:
    """A generation's time in pieces: its prefill, then its rounds."""

    arm: str
    kinds: Ints
    contexts: Ints
    seconds: Floats


@dataclass(frozen=True)
class Levels:
    """What pieces of one kind take, from each of `starts` (a context length) on.

    Beyond `limit_s` a piece is stalled; `typical_s` is the median of the others.
    """

    starts: Ints
    limit_s: Floats
    typical_s: Floats

    @classmethod
    def of(cls, contexts: Ints, seconds: Floats) -> Levels:
        """Levels of about `PER_LEVEL` pieces each, along the context."""
        count = len(seconds)
        levels = min(max(count // PER_LEVEL, 1), MOST_LEVELS)
        level = np.empty(count, dtype=np.int64)
        along = np.argsort(contexts, kind="stable")
        level[along] = np.arange(count) * levels // count
        order = np.lexsort((seconds, level))
        ranked_s, first = seconds[order], np.searchsorted(level[order], np.arange(levels))
        sizes = np.diff(np.append(first, count))
        fast_s = ranked_s[first + (FAST * sizes).astype(np.int64)]
        next_s = ranked_s[first + (NEXT * sizes).astype(np.int64)]
        limit_s = fast_s + np.minimum(REACH * (next_s - fast_s), MOST_REACH * fast_s)
        plain = np.add.reduceat((ranked_s <= limit_s[level[order]]).astype(np.int64), first)
        return cls(contexts[along][first], limit_s, ranked_s[first + plain // 2])

    def stalled_s(self, contexts: Ints, seconds: Floats) -> float:
        """Seconds beyond the typical ones, of the pieces that are stalled."""
        level = np.maximum(np.searchsorted(self.starts, contexts, side="right") - 1, 0)
        beyond = np.where(seconds > self.limit_s[level], seconds - self.typical_s[level], 0.0)
        return float(beyond.sum())


class Stalls:
    """Judges generations by the pieces of all that it knows."""

    def __init__(self) -> None:
        self._known: dict[TakeKey, tuple[GenerationRow, Pieces | None]] = {}
        self._counted = 0
        self._levels: dict[Group, Levels] = {}
        self._cpu_rates: dict[str, float] = {}

    def add(self, row: GenerationRow, rounds: Sequence[RoundRow]) -> None:
        """Know one more generation, with all its rounds in order."""
        self._known[take_key(row)] = row, pieces(row, rounds)

    def judged(self) -> list[GenerationRow]:
        """All generations, with `stalled_s`, `disturbed` and `culprit`."""
        self._learn()
        return [self._judge(*known) for known in self._known.values()]

    def disturbed(self, keys: Iterable[TakeKey]) -> bool:
        """Whether one of these generations is, by what was known when last a tenth was new."""
        if len(self._known) > 1.1 * self._counted:
            self._learn()
        return any(self._judge(*self._known[key]).disturbed for key in keys)

    def _learn(self) -> None:
        self._counted = len(self._known)
        known = [each for _, each in self._known.values() if each is not None]
        self._levels = {}
        for arm in {each.arm for each in known}:
            own = [each for each in known if each.arm == arm]
            kinds, contexts, seconds = (
                np.concatenate([getattr(each, name) for each in own])
                for name in ("kinds", "contexts", "seconds")
            )
            for kind in np.unique(kinds):
                at = kinds == kind
                if at.sum() >= FEWEST:
                    self._levels[arm, int(kind)] = Levels.of(contexts[at], seconds[at])
            rates = [
                row.cpu_s / row.wall_s
                for row, _ in self._known.values()
                if row.arm == arm and row.cpu_s is not None
            ]
            self._cpu_rates[arm] = float(np.median(rates)) if rates else 0.0

    def _judge(self, row: GenerationRow, own: Pieces | None) -> GenerationRow:
        if own is None:
            return replace(row, stalled_s=None, disturbed=False, culprit=None)
        stalled_s = 0.0
        for kind in np.unique(own.kinds):
            levels = self._levels.get((own.arm, int(kind)))
            if levels is not None:
                at = own.kinds == kind
                stalled_s += levels.stalled_s(own.contexts[at], own.seconds[at])
        if stalled_s <= TOLERATED * (row.wall_s - stalled_s):
            return replace(row, stalled_s=stalled_s, disturbed=False, culprit=None)
        culprit = who(row, stalled_s, self._cpu_rates[row.arm])
        return replace(row, stalled_s=stalled_s, disturbed=culprit != OWN, culprit=culprit)


def pieces(row: GenerationRow, rounds: Sequence[RoundRow]) -> Pieces | None:
    """None in a batch, whose rounds are not one generation's, and without rounds' seconds."""
    untold = not rounds and row.target_calls != 1
    if row.batch_size > 1 or untold or any(each.seconds is None for each in rounds):
        return None
    kinds = [each.nodes for each in rounds]
    contexts = [each.context_len for each in rounds]
    seconds = [each.seconds or 0.0 for each in rounds]
    if rounds and rounds[0].position > 0:
        kinds[0] = kinds[0] if row.arm == BASELINE else OPENING
    if not rounds or rounds[0].position > 0:
        kinds.insert(0, PREFILL)
        contexts.insert(0, row.prompt_tokens)
        seconds.insert(0, row.prefill_s)
    return Pieces(row.arm, np.array(kinds), np.array(contexts), np.array(seconds))


def who(row: GenerationRow, stalled_s: float, cpu_rate: float) -> str:
    """Who answers for the stalled seconds of a generation.

    Parameters
    ----------
    cpu_rate : float
        CPU seconds of this process in a second of such a generation, as a rule.
    """
    others_s = (row.others_cores or 0.0) * row.wall_s
    suspects = {
        OTHERS: max(row.waited_s or 0.0, others_s if others_s >= TICKS_S else 0.0),
        STEAL: row.steal_s or 0.0,
        THROTTLING: row.throttled_s or 0.0,
    }
    culprit = max(suspects, key=lambda name: suspects[name])
    if suspects[culprit] >= EXPLAINED * stalled_s:
        return culprit
    if (row.gpu_processes or 0) > 1:
        return GPU
    if row.cpu_s is None:
        return UNKNOWN
    ran_s = row.cpu_s - cpu_rate * (row.wall_s - stalled_s)
    return OWN if ran_s >= EXPLAINED * stalled_s else UNKNOWN
