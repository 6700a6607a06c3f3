"""The loop: propose, verify, accept, commit, emit. Every arm runs through it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from eagle_bench.decoding.accept import Acceptance, accept_greedy, accept_sampled
from eagle_bench.decoding.draft import Draft, no_draft
from eagle_bench.decoding.methods.method import Method
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.machine.clock import BETWEEN, NoPhases, PhaseClock, synchronizer
from eagle_bench.machine.upload import upload
from eagle_bench.models.finite import check_finite
from eagle_bench.models.mask import attention_mask
from eagle_bench.models.parallel import agreed
from eagle_bench.models.sampling import Sampling
from eagle_bench.models.target import Step, Target
from eagle_bench.records.generation import Generation, Request, Round


@dataclass
class _Row:
    generation: Generation
    root: int
    stream: np.random.Generator


class Decoder:
    """One arm: a target, a drafter and a method.

    Parameters
    ----------
    ignore_eos : bool
        Generate exactly `gen_len` tokens (`stop=length`).
    phases : PhaseClock or NoPhases
        Told where the time goes; `NoPhases` in timed runs.
    """

    def __init__(
        self,
        target: Target,
        drafter: Drafter,
        method: Method,
        sampling: Sampling,
        *,
        ignore_eos: bool = False,
        phases: PhaseClock | NoPhases | None = None,
    ) -> None:
        self.name = method.name
        self.max_nodes, self.max_extended = method.max_nodes, method.max_extended
        self.target = target
        self.drafter = drafter
        self.method = method
        self.sampling = sampling
        self.eos_ids = frozenset[int]() if ignore_eos else target.spec.stops
        self.phases = phases or NoPhases()
        self._synchronize = synchronizer(target.spec.device)

    def generate(self, requests: Iterable[Request], batch_size: int = 1) -> Iterator[Generation]:
        """Run all requests, at most `batch_size` at a time; a row that ends makes room.

        Yields
        ------
        Generation
            In the order in which they end.
        """
        waiting = deque(requests)
        longest = max(len(request.tokens) + request.gen_len for request in waiting)
        capacity = longest + max(self.max_nodes, self.max_extended) + 2
        self.cache = self.target.state(batch_size, capacity)
        self.drafter.start(batch_size, capacity)
        self.rows: list[_Row] = []
        while waiting or self.rows:
            while waiting and len(self.rows) < batch_size:
                row = self._prefill(waiting.popleft())
                if row.generation.stop_reason:
                    self._resize(len(self.rows))
                    yield row.generation
                else:
                    self.rows.append(row)
            if self.rows:
                self._round()
                yield from self._retire()

    def release(self) -> None:
        """Let go of the cache: many decoders must not hold one each."""
        self.cache = self.target.state(0, 0)

    @torch.inference_mode()
    def _prefill(self, request: Request) -> _Row:
        """Run the prompt; the target's call gives the first token, the first root.

        Raises
        ------
        UserError
            The target's logits are not finite.
        """
        index = len(self.rows)
        generation = Generation(request)
        calls_before = self.drafter.calls
        self._resize(index + 1)
        self._synchronize()
        self.phases.mark(BETWEEN)
        generation.started_s = time.perf_counter()
        device = self.target.spec.device
        tokens = upload([request.tokens], device)
        positions = torch.arange(len(request.tokens), device=device)[None]
        window = self.cache.row(index)
        wanted = self.drafter.needs_features and request.gen_len > 1
        step = self.target.forward(tokens, positions, None, window, features=wanted, last_only=True)
        check_finite(step.logits, self.target, request.tokens, self.name, request.key)
        window.commit_all()
        self.cache.adopt(index, window)
        stream = self.sampling.stream(request.key)
        [verdict] = self._accept(no_draft(1, device), step, [stream])
        [first] = verdict.tokens
        generation.prefill_s = time.perf_counter() - generation.started_s
        generation.target_calls = 1
        if generation.emit([first], self.eos_ids):
            generation.wall_s = generation.prefill_s
        else:
            self.drafter.prefill(index, request.tokens, first, step.features, request.key)
        self.phases.mark("prefill")
        self.phases.lap()
        generation.draft_calls = self.drafter.calls - calls_before
        return _Row(generation, first, stream)

    @torch.inference_mode()
    def _round(self) -> None:
        """One target call for every row, and what it yields."""
        self.phases.mark("host")
        began_s = time.perf_counter()
        calls_before = self.drafter.calls
        draft = self._propose()
        draft_calls = self.drafter.calls - calls_before
        self.phases.mark("draft")
        step = self._verify(draft)
        self.phases.mark("verify")
        verdicts = self._accept(draft, step, [row.stream for row in self.rows])
        self.phases.mark("accept")
        contexts = list(self.cache.lengths)
        paths = [verdict.path for verdict in verdicts]
        self.cache.commit(paths)
        self.drafter.commit(paths, [verdict.tokens for verdict in verdicts], step.features)
        self.phases.mark("commit")
        now_s = time.perf_counter()
        self.method.observe(
            draft.depth, [verdict.accepted for verdict in verdicts], agreed(now_s - began_s)
        )
        lap = self.phases.lap()
        for row, verdict, context in zip(self.rows, verdicts, contexts, strict=True):
            row.generation.draft_calls += draft_calls
            self._emit(row, verdict, context, now_s, lap)
        self.phases.mark("emit")

    def _propose(self) -> Draft:
        positions_left = self.target.spec.max_positions - 1 - max(self.cache.lengths)
        room = min(positions_left, self.drafter.reach())
        batch = len(self.rows)
        if room < 1:
            return no_draft(batch, self.target.spec.device)
        return self.method.draft(self.drafter, batch, room, [row.stream for row in self.rows])

    def _verify(self, draft: Draft) -> Step:
        """The target's one call: root and draft, each node at its depth's position."""
        device = self.target.spec.device
        roots = upload([[row.root] for row in self.rows], device)
        lengths = self.cache.lengths
        if draft.nodes == 0 and len(lengths) == 1:
            positions = upload([lengths], device)
            return self.target.forward(
                roots, positions, None, self.cache, features=self.drafter.needs_features
            )
        tokens = torch.cat((roots, draft.tokens.clamp(min=0)), dim=1)
        positions = upload(lengths, device)[:, None] + draft.depths
        mask = attention_mask(lengths, draft.visible)
        return self.target.forward(
            tokens, positions, mask, self.cache, features=self.drafter.needs_features
        )

    def _accept(
        self, draft: Draft, step: Step, streams: list[np.random.Generator]
    ) -> list[Acceptance]:
        if self.sampling.greedy:
            return accept_greedy(draft, step.logits)
        return accept_sampled(draft, step.logits, self.sampling, streams)

    def _emit(
        self, row: _Row, verdict: Acceptance, context: int, now_s: float, lap: dict[str, float]
    ) -> None:
        generation = row.generation
        generation.target_calls += 1
        generation.rounds.append(
            Round(
                position=len(generation.tokens),
                context_len=context,
                depth=verdict.depth,
                nodes=verdict.drafted,
                accepted=verdict.accepted,
                phases_s=lap,
                ended_s=now_s,
            )
        )
        row.root = verdict.tokens[-1]
        if generation.emit(verdict.tokens, self.eos_ids):
            generation.wall_s = now_s - generation.started_s

    def _retire(self) -> Iterator[Generation]:
        """Take finished rows out of the batch; the last row moves into the gap."""
        for index in reversed(range(len(self.rows))):
            generation = self.rows[index].generation
            if not generation.stop_reason:
                continue
            last = len(self.rows) - 1
            if index != last:
                self.cache.move_row(last, index)
                self.drafter.move_row(last, index)
                self.rows[index] = self.rows[last]
            self.rows.pop()
            self._resize(last)
            yield generation

    def _resize(self, rows: int) -> None:
        self.cache.resize(rows)
        self.drafter.resize(rows)
