"""One job: both arms over all prompts, paired and interleaved, every row kept.

For each prompt the arms run back to back, in an order that alternates. Nothing but the arm
runs inside a timed region: rows are written and the bar is redrawn in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eagle_bench.config.run import RunConfig
from eagle_bench.data.prompt import Prompt
from eagle_bench.engines.build import build_arms
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Session
from eagle_bench.machine.energy import energy_meter, shares_j
from eagle_bench.machine.evidence import Witness
from eagle_bench.machine.memory import PeakMemory
from eagle_bench.models.parallel import agreed
from eagle_bench.records.generation import Arm
from eagle_bench.records.rows import GenerationRow, RoundRow, Trial, round_rows

WARM_AGREEMENT = 0.1

Report = Callable[[GenerationRow, list[RoundRow]], None]


@dataclass(frozen=True)
class Block:
    """Prompts that run together: one at batch size 1, else all of them.

    `index` is its place among the blocks of its repeat; `take` counts how often it ran
    before.
    """

    prompts: tuple[Prompt, ...]
    repeat: int
    index: int
    take: int = 0

    @property
    def baseline_first(self) -> bool:
        """Alternates along the prompts and, for each prompt, along the repeats.

        It depends on nothing but the block, so a resumed run goes on as it would have.
        """
        return (self.repeat + self.index) % 2 == 0


class Benchmark:
    """The two arms of `config` on the prompts, ready to run.

    Parameters
    ----------
    logs : Path or None
        The folder for what an engine prints that is started for it.
    """

    def __init__(
        self,
        config: RunConfig,
        session: Session,
        prompts: Sequence[Prompt],
        logs: Path | None = None,
    ) -> None:
        self.config = config
        self.session = session
        self.prompts = prompts
        target = session.target
        self.energy = energy_meter(target.spec.device)
        self._memory = PeakMemory(target.spec.device)
        self._witness = Witness(target.spec.device)
        arms = build_arms(config, session, prompts, logs)
        self.baseline, self.speculative, self.engine = arms

    def blocks(self, repeat: int = 0) -> list[Block]:
        """All prompts once, in order."""
        if self.config.batch_size > 1:
            return [Block(tuple(self.prompts), repeat, 0)]
        return [Block((prompt,), repeat, index) for index, prompt in enumerate(self.prompts)]

    def warm_up(self) -> int:
        """Run the first block until both arms' times settle; how often it ran.

        Nothing of it is kept.
        """
        few = Block(tuple(self.prompts[: self.config.batch_size]), 0, 0)
        previous: list[float] = []
        for count in range(1, self.config.measure.warmup_max + 1):
            times = [self._timed(arm, few) for arm in (self.baseline, self.speculative)]
            if previous and all(
                abs(now - before) <= WARM_AGREEMENT * before
                for now, before in zip(times, previous, strict=True)
            ):
                return count
            previous = times
        return self.config.measure.warmup_max

    def run(self, block: Block, report: Report) -> None:
        """Both arms on one block; every generation goes to `report`."""
        self._record_oracle(block)
        arms = (self.baseline, self.speculative)
        for arm in arms if block.baseline_first else reversed(arms):
            self._run_arm(arm, block, report)

    def _timed(self, arm: Arm, block: Block) -> float:
        self._record_oracle(block)
        began_s = time.perf_counter()
        self._run_arm(arm, block, lambda row, rounds: None)
        return agreed(time.perf_counter() - began_s)

    def _run_arm(self, arm: Arm, block: Block, report: Report) -> None:
        talks = [Conversation(self.session, prompt) for prompt in block.prompts]
        while speaking := [talk for talk in talks if not talk.over]:
            requests = [talk.request(self.config.gen_len) for talk in speaking]
            self._memory.start()
            self.energy.start()
            self._witness.start()
            generations = list(arm.generate(requests, self.config.batch_size))
            evidence = asdict(self._witness.stop())
            joules = self.energy.stop_j()
            peak_bytes: int | None = self._memory.peak_bytes()
            if not self.config.engine.inside:  # An engine's own work would be another's here.
                evidence, peak_bytes = {}, None
            by_key = {generation.request.key: generation for generation in generations}
            spoken = [by_key[request.key] for request in requests]
            shares = shares_j(joules, [len(generation.tokens) for generation in spoken])
            for talk, generation, energy_j in zip(speaking, spoken, shares, strict=True):
                trial = self._trial(talk, arm, block)
                readings = {"energy_j": energy_j, **evidence}
                row = GenerationRow.of(generation, trial, peak_bytes, **readings)
                report(row, round_rows(generation, trial))
                talk.generated(generation.tokens)

    def _record_oracle(self, block: Block) -> None:
        """The oracle replays the baseline, so that is recorded first, untimed."""
        drafter = self.session.drafter.drafter
        if not self.config.drafter.greedy_only:
            return
        gen_len = self.config.gen_len
        requests = [Conversation(self.session, each).request(gen_len) for each in block.prompts]
        for generation in self.baseline.generate(requests, self.config.batch_size):
            drafter.record(generation.request.key, generation.tokens)

    def _trial(self, talk: Conversation, arm: Arm, block: Block) -> Trial:
        return Trial(
            prompt_id=talk.prompt.id,
            category=talk.prompt.category,
            turn=talk.turn,
            arm=arm.name,
            repeat=block.repeat,
            batch_size=self.config.batch_size,
            order=int(block.baseline_first is (arm is self.speculative)),
            take=block.take,
        )
