"""One job: both arms over all prompts, paired and interleaved, every row kept.

For each prompt the arms run back to back, in an order that alternates. Nothing but the arm
runs inside a timed region: rows are written and the bar is redrawn in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from eagle_bench.config.run import RunConfig
from eagle_bench.data.chat import opening
from eagle_bench.data.prompt import Prompt
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.engines.fit import least_context
from eagle_bench.engines.session import Session
from eagle_bench.machine.energy import energy_meter, shares_j
from eagle_bench.machine.evidence import Evidence, Witness
from eagle_bench.machine.memory import PeakMemory
from eagle_bench.models.parallel import agreed
from eagle_bench.records.generation import Arm, Generation, Request
from eagle_bench.records.rows import GenerationRow, RoundRow, round_rows

WARM_AGREEMENT = 0.1

Report = Callable[[GenerationRow, list[RoundRow]], None]


@dataclass(frozen=True)
class Block:
    """Prompts that run together: one at batch size 1, else all of them.

    `index` is its place among the blocks of its repeat.
    """

    prompts: tuple[Prompt, ...]
    repeat: int
    index: int

    @property
    def baseline_first(self) -> bool:
        """Alternates along the prompts and, for each prompt, along the repeats.

        It depends on nothing but the block, so a resumed run goes on as it would have.
        """
        return (self.repeat + self.index) % 2 == 0


class Benchmark:
    """The two arms of `config` on the prompts, ready to run.

    Raises
    ------
    UserError
        A prompt and `gen_len` do not fit into the target's positions.
    """

    def __init__(self, config: RunConfig, session: Session, prompts: Sequence[Prompt]) -> None:
        self.config = config
        self.session = session
        self.prompts = prompts
        target = session.target
        self.baseline: Arm = build_baseline(config, target)
        self.speculative: Arm = build_speculative(config, target, session.drafter.drafter)
        self.energy = energy_meter(target.spec.device)
        self._memory = PeakMemory(target.spec.device)
        self._witness = Witness(target.spec.device)
        for prompt in prompts:
            session.check_room(prompt.id, least_context(session, prompt), config.gen_len)

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
        histories = {prompt.id: opening(prompt) for prompt in block.prompts}
        turns = max(len(prompt.turns) for prompt in block.prompts)
        for turn in range(turns):
            speaking = [prompt for prompt in block.prompts if turn < len(prompt.turns)]
            if turn:
                for prompt in speaking:
                    message = {"role": "user", "content": prompt.turns[turn]}
                    histories[prompt.id].append(message)
            requests = [self._request(prompt, turn, histories[prompt.id]) for prompt in speaking]
            self._memory.start()
            self.energy.start()
            self._witness.start()
            generations = list(arm.generate(requests, self.config.batch_size))
            evidence = self._witness.stop()
            joules = self.energy.stop_j()
            peak_bytes = self._memory.peak_bytes()
            by_key = {generation.request.key: generation for generation in generations}
            spoken = [by_key[request.key] for request in requests]
            shares = shares_j(joules, [len(generation.tokens) for generation in spoken])
            for prompt, generation, energy_j in zip(speaking, spoken, shares, strict=True):
                row = self._row(
                    prompt, turn, arm, block, generation, peak_bytes, energy_j, evidence
                )
                rounds = round_rows(
                    generation, prompt_id=prompt.id, turn=turn, arm=arm.name, repeat=block.repeat
                )
                report(row, rounds)
                answer = self.session.chat.decode(generation.tokens)
                histories[prompt.id].append({"role": "assistant", "content": answer})

    def _request(self, prompt: Prompt, turn: int, history: list[dict[str, str]]) -> Request:
        tokens = self.session.chat.encode(history)
        self.session.check_room(prompt.id, len(tokens), self.config.gen_len)
        return Request(f"{prompt.id}/{turn}", tokens, self.config.gen_len)

    def _record_oracle(self, block: Block) -> None:
        """The oracle replays the baseline, so that is recorded first, untimed."""
        drafter = self.session.drafter.drafter
        if not self.config.drafter.greedy_only:
            return
        requests = [self._request(prompt, 0, opening(prompt)) for prompt in block.prompts]
        for generation in self.baseline.generate(requests, self.config.batch_size):
            drafter.record(generation.request.key, generation.tokens)

    def _row(
        self,
        prompt: Prompt,
        turn: int,
        arm: Arm,
        block: Block,
        generation: Generation,
        peak_bytes: int,
        energy_j: float | None,
        evidence: Evidence,
    ) -> GenerationRow:
        rounds = generation.rounds if arm is self.speculative else []
        return GenerationRow(
            prompt_id=prompt.id,
            category=prompt.category,
            turn=turn,
            arm=arm.name,
            repeat=block.repeat,
            gen_len=self.config.gen_len,
            new_tokens=len(generation.tokens),
            stop_reason=generation.stop_reason,
            prompt_tokens=len(generation.request.tokens),
            token_ids=generation.tokens,
            wall_s=generation.wall_s,
            prefill_s=generation.prefill_s,
            decode_s=generation.wall_s - generation.prefill_s,
            target_calls=generation.target_calls,
            draft_calls=generation.draft_calls,
            rounds=len(rounds),
            accept_lengths=[each.accepted for each in rounds],
            overshoot=generation.overshoot,
            drafted=sum(each.nodes for each in rounds),
            drafted_depth=sum(each.depth for each in rounds),
            accepted=sum(each.accepted for each in rounds),
            peak_bytes=peak_bytes,
            energy_j=energy_j,
            batch_size=self.config.batch_size,
            order=int(block.baseline_first is (arm is self.speculative)),
            started_s=generation.started_s,
            **asdict(evidence),
        )
