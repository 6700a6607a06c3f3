"""Seconds of the parts of a round, timed by themselves, and of the whole generations beside them.

The parts come from the loop itself under a clock: a rehearsal generates the middle of a
recorded output behind prompt and first half, so its context is as long as a round's is on
average, and neither the prefill nor the end of the output is in it. Whole generations are timed
twice, without a clock (what is to be predicted) and with it (to say which part differs).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from statistics import median

import torch
from scipy.stats import trim_mean

from eagle_bench.decoding.draft import chain_draft
from eagle_bench.decoding.loop import Decoder
from eagle_bench.machine.clock import BETWEEN, NoPhases, PhaseClock, synchronizer
from eagle_bench.models.mask import attention_mask
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Generation, Request

VERIFIED = (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 25, 32, 48, 64)
REHEARSED_TOKENS = 40
STARTS, VERIFICATIONS = 3, 4
TRIM = 0.2
"""Share of the rounds, at either end, that a mean leaves out: what the machine did meanwhile."""

Build = Callable[[PhaseClock | NoPhases], Decoder]


@dataclass(frozen=True)
class Parts:
    """Seconds: `start_s` (the drafter's prefill) of a generation, the others of a round.

    `other_s` is accepting, committing, emitting and the host's work between rounds.
    """

    start_s: float
    draft_s: float
    verify_s: float
    other_s: float

    @property
    def round_s(self) -> float:
        return self.draft_s + self.verify_s + self.other_s


@dataclass(frozen=True)
class Sample:
    """One prompt's measurements of one arm.

    Attributes
    ----------
    tokens : int
        Emitted after the first.
    accept_lengths : list[int]
        Of its rounds.
    decode_s : float
        Of the timed generation.
    rehearsed, watched : Parts
        Timed by themselves, and within a whole generation.
    """

    tokens: int
    accept_lengths: list[int]
    decode_s: float
    rehearsed: Parts
    watched: Parts

    @property
    def rounds(self) -> int:
        return len(self.accept_lengths)


@dataclass(frozen=True)
class Place:
    """A prompt with the output that the baseline was recorded to give it (at least 2 tokens)."""

    request: Request
    output: list[int]

    @property
    def context(self) -> list[int]:
        """The prompt and half of the output."""
        return self.request.tokens + self.output[: len(self.output) // 2]

    @property
    def middle(self) -> Request:
        """The output's middle part as a request of its own."""
        count = min(REHEARSED_TOKENS, len(self.output) - 1)
        begin = (len(self.output) - count) // 2
        tokens = self.request.tokens + self.output[:begin]
        return Request(f"{self.request.key}/middle", tokens, count)

    def recorded(self) -> dict[str, list[int]]:
        """What the oracle must know to draft for either request."""
        middle = self.middle
        begin = len(middle.tokens) - len(self.request.tokens)
        return {self.request.key: self.output, middle.key: self.output[begin:]}


class Subject:
    """One arm three times: timed, watched, and rehearsing."""

    def __init__(self, build: Build, clock: PhaseClock) -> None:
        self.clock = clock
        self.timed = build(NoPhases())
        self.watched = build(clock)
        self.rehearsing = build(clock)

    def measure(self, place: Place) -> Sample:
        """Everything of one prompt, back to back."""
        start_s = median(self._start_s(place.request) for _ in range(STARTS))
        rehearsed = rehearse(self.rehearsing, self.clock, place)
        generation = _one(self.timed, place.request)
        return Sample(
            tokens=len(generation.tokens) - 1,
            accept_lengths=generation.accept_lengths,
            decode_s=generation.wall_s - generation.prefill_s,
            rehearsed=replace(rehearsed, start_s=start_s),
            watched=self._watch(place.request),
        )

    def _start_s(self, request: Request) -> float:
        """From the first token until rounds can begin: the drafter's prefill."""
        self.clock.restart()
        generation = _one(self.rehearsing, Request(request.key, request.tokens, 2))
        return self.clock.total()["prefill"] - generation.prefill_s

    def _watch(self, request: Request) -> Parts:
        self.clock.restart()
        generation = _one(self.watched, request)
        seconds = {name: each for name, each in self.clock.total().items() if name != BETWEEN}
        count = len(generation.rounds)
        start_s = seconds.pop("prefill") - generation.prefill_s
        draft_s, verify_s = seconds.pop("draft"), seconds.pop("verify")
        other_s = sum(seconds.values())
        return Parts(start_s, draft_s / count, verify_s / count, other_s / count)


def rehearse(decoder: Decoder, clock: PhaseClock, place: Place) -> Parts:
    """The parts of a round by themselves; the first round, with cold caches, is not counted.

    `decoder` runs under `clock`; `start_s` is left at 0.
    """
    for key, tokens in place.recorded().items():
        decoder.drafter.record(key, tokens)
    clock.restart()
    rounds = _one(decoder, place.middle).rounds
    laps = [each.phases_s for each in rounds[1:] or rounds]
    draft_s, verify_s = (_typical([lap[name] for lap in laps]) for name in ("draft", "verify"))
    other_s = _typical([sum(lap.values()) - lap["draft"] - lap["verify"] for lap in laps])
    return Parts(0.0, draft_s, verify_s, other_s)


def _one(decoder: Decoder, request: Request) -> Generation:
    [generation] = decoder.generate([request])
    decoder.release()
    return generation


def _typical(seconds: Sequence[float]) -> float:
    return float(trim_mean(seconds, TRIM))


@torch.inference_mode()
def time_verifications(
    target: Target, place: Place, *, features: bool, counts: Sequence[int] = VERIFIED
) -> dict[int, float]:
    """t_v(n): median seconds of the target alone on n tokens behind half of the output.

    A single token is a step of the baseline, which takes no features. Left out is an n that
    goes beyond the target's positions.
    """
    device, context = target.spec.device, place.context
    synchronize = synchronizer(device)
    length = len(context)
    fitting = [n for n in counts if length + n <= target.spec.max_positions]
    cache = target.state(1, length + max(fitting))
    tokens = torch.tensor([context], device=device)
    positions = torch.arange(length, device=device)[None]
    target.forward(tokens, positions, None, cache, features=False, last_only=True)
    cache.commit_all()
    half = len(place.output) // 2
    timings: dict[int, list[float]] = {n: [] for n in fitting}
    for _ in range(VERIFICATIONS):
        for n in fitting:
            ids = list(islice(cycle(place.output), half, half + n))
            nodes = torch.tensor([ids], device=device)
            draft = chain_draft(nodes[:, 1:])
            at = length + draft.depths
            mask = attention_mask(cache.lengths, draft.visible) if n > 1 else None
            synchronize()
            began_s = time.perf_counter()
            target.forward(nodes, at, mask, cache, features=features and n > 1)
            synchronize()
            timings[n].append(time.perf_counter() - began_s)
            cache.rollback()
    return {n: median(seconds[1:]) for n, seconds in timings.items()}
