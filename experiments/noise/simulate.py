"""Bias and coverage of the speedup on synthetic rounds that recorded stalls lengthen.

    python -m experiments.noise.simulate [RUNS]

Both arms' seconds are known without the stalls, so the bias is exact; the truth that intervals
should hold is the speedup over all prompts there could be. Takes, judgement and figures are the
product's own. Prints the table of `docs/how-we-measure.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from eagle_bench.data.prompt import Prompt
from eagle_bench.figures.frame import frame
from eagle_bench.figures.pairing import pair, speedup
from eagle_bench.figures.statistics import Sampling
from eagle_bench.machine.evidence import Evidence
from eagle_bench.machine.quiet import PATIENCE_S, Quiet
from eagle_bench.measure.benchmark import Block, Report
from eagle_bench.measure.takes import Takes
from eagle_bench.records.rowfiles import take_key
from eagle_bench.records.rows import GenerationRow, RoundRow
from experiments.noise.stalls import (
    ARMS,
    Always,
    AlwaysOnBaseline,
    Bursts,
    BurstsOnBaseline,
    Drift,
    HalfSpeed,
    Neighbour,
)

PROMPTS, DRAFT_LEN, REMEASURE = 16, 4, 2
PREFILL_S, STEP_S, ROUND_S, GROWTH, JITTER = 0.006, 0.0025, 0.0045, 1e-4, 0.04
"""Seconds as the embedded pair takes them; each 100 tokens of context add a hundredth."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Scenario:
    """Others' work, and how long the outputs are."""

    words: str
    neighbour: Callable[[np.random.Generator], Neighbour]
    gen_len: int = 100


SCENARIOS = (
    Scenario("nothing", Neighbour),
    Scenario("bursts of 1 to 4 s on both cores, a third of the time", Bursts),
    Scenario("the same, during the baseline only", BurstsOnBaseline),
    Scenario("half the speed for a minute, unseen", HalfSpeed, gen_len=1000),
    Scenario("slower by 1% each second", Drift, gen_len=200),
    Scenario("one core burnt throughout", Always),
    Scenario("the same, during the baseline only", AlwaysOnBaseline),
)


class World:
    """A benchmark of two arms whose work is drawn, on a clock that its neighbour slows."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.gen_len, self.rng = scenario.gen_len, rng
        self.accepts = rng.beta(8, 4, PROMPTS)
        self.neighbour = scenario.neighbour(np.random.default_rng(seed + 1_000_000))
        self.config: Any = SimpleNamespace(measure=SimpleNamespace(remeasure=REMEASURE))
        spec = SimpleNamespace(device=torch.device("cpu"))
        self.session: Any = SimpleNamespace(target=SimpleNamespace(spec=spec))
        self.now_s = 0.0
        self.lost_s: dict[Any, float] = {}
        """What was really lost, by take."""

    def blocks(self) -> list[Block]:
        prompts = [Prompt(str(index), "c", ("?",)) for index in range(PROMPTS)]
        return [Block((prompt,), 0, index) for index, prompt in enumerate(prompts)]

    def warm_up(self) -> int:
        return 1

    def run(self, block: Block, report: Report) -> None:
        for arm in ARMS if block.baseline_first else reversed(ARMS):
            report(*self._generate(block, arm))

    def _generate(self, block: Block, arm: str) -> tuple[GenerationRow, list[RoundRow]]:
        """One arm's output; what is accepted depends on the prompt alone, not on the take."""
        name = block.prompts[0].id
        accepted = self._accepted(block.index, arm)
        emitted = np.concatenate([[1], 1 + np.cumsum(accepted + 1)])
        typical_s = np.where(
            np.arange(len(accepted) + 1) == 0, PREFILL_S, STEP_S if arm == ARMS[0] else ROUND_S
        ) * (1 + GROWTH * (20 + np.concatenate([[0], emitted[:-1]])))
        work_s = typical_s * np.exp(JITTER * self.rng.standard_normal(len(typical_s)))
        seconds, lost_s = [], 0.0
        for each_s in work_s.tolist():
            taken_s = self.neighbour.takes_s(self.now_s, each_s, arm)
            seconds.append(each_s + taken_s)
            lost_s += taken_s
            self.now_s += each_s + taken_s
        nodes = 0 if arm == ARMS[0] else DRAFT_LEN
        rounds = [
            RoundRow(name, 0, arm, 0, index, int(emitted[index]), 20 + int(emitted[index]),
                     nodes, nodes, int(each),
                     seconds=seconds[1 + index], take=block.take)
            for index, each in enumerate(accepted)
        ]  # fmt: skip
        wall_s = sum(seconds)
        seen = self.neighbour.free_at_s(self.now_s) > self.now_s
        evidence = Evidence(
            cpu_s=wall_s - lost_s,
            involuntary_switches=0,
            waited_s=lost_s if seen else 0.0,
            others_cores=2.0 if seen else 0.0,
        )
        row = GenerationRow(
            prompt_id=name, category="c", turn=0, arm=arm, repeat=0, gen_len=self.gen_len,
            new_tokens=self.gen_len, stop_reason="length", prompt_tokens=20, token_ids=[],
            wall_s=wall_s, prefill_s=seconds[0], decode_s=wall_s - seconds[0],
            target_calls=len(seconds), draft_calls=0, rounds=0, accept_lengths=[], overshoot=0,
            drafted=0, drafted_depth=0, accepted=0, peak_bytes=0, take=block.take,
            **asdict(evidence),
        )  # fmt: skip
        self.lost_s[take_key(row)] = lost_s
        return row, rounds

    def _accepted(self, prompt: int, arm: str) -> Any:
        if arm == ARMS[0]:
            return np.zeros(self.gen_len - 1, dtype=np.int64)
        rng = np.random.default_rng([prompt, int(1e9 * self.accepts[prompt])])
        return accepted_lengths(rng, self.accepts[prompt], self.gen_len)


def accepted_lengths(rng: np.random.Generator, accept: float, gen_len: int) -> Any:
    """Accepted tokens of each round until `gen_len` tokens are out."""
    lengths = np.minimum(rng.geometric(1 - accept, gen_len) - 1, DRAFT_LEN)
    return lengths[: 1 + int(np.searchsorted(1 + np.cumsum(lengths + 1), gen_len))]


class Patience(Quiet):
    """Waits on the world's clock."""

    def __init__(self, world: World) -> None:
        super().__init__(threads=2)
        self._world = world

    def wait(self, most_s: float) -> bool:
        world = self._world
        until_s = world.neighbour.free_at_s(world.now_s)
        most_s = min(PATIENCE_S, most_s) - self._in_vain_s
        quiet = until_s <= world.now_s + most_s
        self._in_vain_s = 0.0 if quiet else self._in_vain_s + max(most_s, 0.0)
        world.now_s = until_s if quiet else world.now_s + max(most_s, 0.0)
        return quiet


class Nothing:
    """A run folder without anything."""

    def read_rows(self) -> list[GenerationRow]:
        return []

    read_rounds = read_rows

    def read_retakes(self) -> tuple[list[GenerationRow], list[RoundRow]]:
        return [], []


@dataclass(frozen=True)
class Outcome:
    """One run's speedup over the one without any stall, and its interval's bounds."""

    bias: float
    low: float
    high: float
    left: int
    """Pairs that stayed disturbed."""
    takes: float
    """Takes of a pair, on average."""


def outcomes(scenario: Scenario, seed: int, resamples: int = 1000) -> tuple[Outcome, Outcome]:
    """The same run as it was before stalls were looked for, and as it is now."""
    world = World(scenario, seed)
    first: list[GenerationRow] = []

    def report(row: GenerationRow, rounds: list[RoundRow]) -> None:
        if row.take == 0:
            first.append(row)

    takes: Any = Takes(world, Nothing(), report, Patience(world))  # type: ignore[arg-type]
    blocks = world.blocks()
    for block in blocks:
        takes.run(block)
    takes.finish_pass(blocks)
    counted, others = takes.settled()
    sampling = Sampling(0, resamples, CONFIDENCE)
    return tuple(  # type: ignore[return-value]
        _outcome(world, rows, 1 + len(retaken) / (2 * PROMPTS), sampling)
        for rows, retaken in ((first, []), (counted, others))
    )


def _outcome(world: World, rows: list[GenerationRow], takes: float, sampling: Sampling) -> Outcome:
    found = speedup(pair(frame(rows), ARMS[1], drop_flagged=True), sampling)
    clean_s = dict.fromkeys(ARMS, 0.0)
    for row in rows:
        clean_s[row.arm] += row.wall_s - world.lost_s[take_key(row)]
    clean = clean_s[ARMS[0]] / clean_s[ARMS[1]]
    left = len({row.prompt_id for row in rows if row.disturbed})
    return Outcome(found["pooled"] / clean - 1, found["low"], found["high"], left, takes)


def truth(gen_len: int, prompts: int = 40_000) -> float:
    """The pooled speedup of all prompts there could be."""
    rng = np.random.default_rng(12345)
    context = 20 + np.arange(gen_len)
    step_s = STEP_S * (1 + GROWTH * context[1:])
    prefill_s = PREFILL_S * (1 + GROWTH * 20)
    method_s = 0.0
    for accept in rng.beta(8, 4, prompts):
        accepted = accepted_lengths(rng, accept, gen_len)
        before = np.concatenate([[1], 1 + np.cumsum(accepted + 1)[:-1]])
        method_s += prefill_s + float((ROUND_S * (1 + GROWTH * (20 + before))).sum())
    return prompts * (prefill_s + float(step_s.sum())) / method_s


def main(runs: int = 400) -> None:
    """Print a line of the table for each scenario."""
    print(
        "| others' work | bias before | now | coverage before | now "
        "| runs with `disturbed` | takes of a pair |\n|---|---|---|---|---|---|---|"
    )
    for scenario in SCENARIOS:
        true = truth(scenario.gen_len)
        both = [outcomes(scenario, seed) for seed in range(runs)]
        cells: dict[str, list[str]] = {"bias": [], "coverage": []}
        for found in zip(*both, strict=True):
            cells["bias"].append(f"{np.mean([each.bias for each in found]):+.1%}")
            held = np.mean([each.low <= true <= each.high for each in found])
            cells["coverage"].append(f"{held:.1%}")
        now = [found for _, found in both]
        told = np.mean([each.left > 0 for each in now])
        takes = np.mean([each.takes for each in now])
        columns = [*cells["bias"], *cells["coverage"], f"{told:.0%}", f"{takes:.2f}"]
        print(f"| {scenario.words} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
