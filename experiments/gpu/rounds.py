"""Seconds of a round, by phase, and how much of them the device worked."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from eagle_bench.config.values import Proposal
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.machine.clock import NoPhases, PhaseClock
from eagle_bench.models.sampling import Sampling
from eagle_bench.records.generation import Generation, Request
from experiments.gpu.pair import Pair

SETTLING = 3
"""Rounds at the beginning that are not counted."""


@dataclass(frozen=True)
class Shape:
    """A draft's: `depth` levels, `top_k` wide, the best `nodes` verified. No node: the baseline."""

    name: str
    depth: int = 0
    top_k: int = 1
    nodes: int = 0

    def decoder(self, pair: Pair, phases: Any = None) -> Decoder:
        """The loop that drafts so, greedy and past any EOS."""
        greedy = Sampling()
        method = Tree(
            self.name, self.depth, self.top_k, self.nodes, Proposing(Proposal.greedy, greedy)
        )
        drafter: Drafter = pair.drafter if self.nodes else NoDrafter()
        return Decoder(pair.target, drafter, method, greedy, ignore_eos=True, phases=phases)


BASELINE = Shape("baseline")
DRAFTS = (
    Shape("chain, 4", 4, 1, 4),
    Shape("tree 6x6, 24", 6, 6, 24),
    Shape("tree 8x10, 59", 8, 10, 59),
)


@dataclass(frozen=True)
class Found:
    """A draft shape at one batch size; seconds are of one round of all rows.

    Attributes
    ----------
    tokens : float
        Emitted by a round, per row: with random weights no more than a fact about them.
    phases_s : dict[str, float]
        On a GPU by events in the device's stream.
    busy_s, host_share, waits : float or None
        What the device worked, the share of the round in which it did not, and how often the
        host waited for it. None without a GPU.
    """

    round_s: float
    tokens: float
    phases_s: dict[str, float]
    busy_s: float | None
    host_share: float | None
    waits: float | None


def time_rounds(pair: Pair, shape: Shape, batch: int, context: int, tokens: int) -> Found:
    """Generate `tokens` tokens behind the settling rounds, twice or three times: timed without an
    observer, by phase, and on a GPU watched by torch's profiler."""
    device = pair.target.spec.device
    requests = _requests(pair, batch, context, tokens)
    timed = _generate(shape.decoder(pair, NoPhases()), requests)
    settled = slice(SETTLING, min(len(each.rounds) for each in timed))
    round_s = median(timed[0].round_seconds[settled])
    clocked = _generate(shape.decoder(pair, PhaseClock(device)), requests)
    laps = [each.phases_s for each in clocked[0].rounds[settled]]
    busy_s = waits = None
    if device.type == "cuda":
        with DeviceWatch() as watch:
            _generate(shape.decoder(pair, watch), requests)
        busy_s, waits = watch.busy_s, watch.waits
    return Found(
        round_s=round_s,
        tokens=fmean(each.accepted + 1 for row in timed for each in row.rounds[settled]),
        phases_s={name: fmean(lap.get(name, 0.0) for lap in laps) for name in laps[-1]},
        busy_s=busy_s,
        host_share=None if busy_s is None else max(0.0, 1 - busy_s / round_s),
        waits=waits,
    )


class DeviceWatch:
    """An observer of the loop that watches the GPU behind the settling rounds.

    Attributes
    ----------
    busy_s, waits : float
        Per round, once it is closed: seconds of the device's kernels and copies, and operations
        at which torch made the host wait.
    """

    busy_s: float
    waits: float

    def __enter__(self) -> DeviceWatch:
        self._rounds = -SETTLING
        self._open = ExitStack()
        return self

    def mark(self, phase: str) -> None:
        """Rounds end with their `emit`."""
        if phase == "emit":
            self._rounds += 1
            if self._rounds == 0:
                self._begin()

    def lap(self) -> dict[str, float]:
        return {}

    def _begin(self) -> None:
        torch.cuda.synchronize()
        self._warned = self._open.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        self._profile = self._open.enter_context(profile(activities=[ProfilerActivity.CUDA]))
        self._open.callback(torch.cuda.set_sync_debug_mode, "default")
        torch.cuda.set_sync_debug_mode("warn")

    def __exit__(self, *_: object) -> None:
        self._open.close()
        kernels = [e for e in self._profile.events() or () if e.device_type == DeviceType.CUDA]
        busy_us = sum(each.time_range.elapsed_us() for each in kernels)
        waited = [each for each in self._warned or () if "synchroniz" in str(each.message)]
        self.busy_s = busy_us / 1e6 / self._rounds
        self.waits = len(waited) / self._rounds


def _requests(pair: Pair, batch: int, context: int, tokens: int) -> list[Request]:
    """Random prompts of `context` tokens."""
    draw = torch.Generator().manual_seed(0)
    shape = (batch, context)
    prompts = torch.randint(pair.target.spec.vocab_size, shape, generator=draw).tolist()
    return [Request(str(row), prompt, 1 + SETTLING + tokens) for row, prompt in enumerate(prompts)]


def _generate(decoder: Decoder, requests: list[Request]) -> list[Generation]:
    generations = list(decoder.generate(requests, len(requests)))
    decoder.release()
    return generations
