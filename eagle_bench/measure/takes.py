"""Pairs that others' work disturbed are measured again, both arms, when the machine is quiet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import torch

from eagle_bench.figures.stalls import Stalls
from eagle_bench.figures.takes import least_disturbed, part
from eagle_bench.machine.quiet import Quiet
from eagle_bench.measure.benchmark import Benchmark, Block, Report
from eagle_bench.models.parallel import agreed
from eagle_bench.records.rowfiles import TakeKey, take_key
from eagle_bench.records.rows import GenerationRow, RoundRow
from eagle_bench.records.store import RunFolder


class Takes:
    """Runs blocks, and the disturbed ones again, `measure.remeasure` times at most.

    Takes that earlier processes left in the folder are known, so none is repeated.

    Attributes
    ----------
    warm_up_runs : int
        How often the first block ran before the first take of this process.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        store: RunFolder,
        report: Report,
        quiet: Quiet | None = None,
    ) -> None:
        self._benchmark, self._report = benchmark, report
        on_cpu = benchmark.session.target.spec.device.type == "cpu"
        self._quiet = quiet or Quiet(torch.get_num_threads() if on_cpu else 1)
        self._stalls = Stalls()
        self._takes: dict[tuple[str, int], dict[int, set[TakeKey]]] = defaultdict(
            lambda: defaultdict(set)
        )
        self._spent_s = 0.0
        self.warm_up_runs = 0
        rows, rounds = store.read_retakes()
        by_take: dict[TakeKey, list[RoundRow]] = defaultdict(list)
        for each in (*store.read_rounds(), *rounds):
            by_take[take_key(each)].append(each)
        for row in (*store.read_rows(), *rows):
            self._know(row, by_take[take_key(row)])

    def warm_up(self) -> None:
        """Run the first block until it takes a steady time, once per process."""
        self.warm_up_runs = self.warm_up_runs or self._benchmark.warm_up()

    def run(self, block: Block) -> None:
        """Measure `block`, and while it is disturbed and the machine quiet again, once more."""
        self._run(block)
        while self._wanted(block) and agreed(float(self._quiet.wait(self._spent_s))):
            self._run_again(block)

    def finish_pass(self, blocks: Sequence[Block]) -> None:
        """Measure again what is disturbed, now that a whole pass tells how long rounds take.

        A machine that does not become quiet is waited for once, then measured as it is.
        """
        for block in blocks:
            while self._wanted(block):
                self._quiet.wait(self._spent_s)
                self._run_again(block)

    def settled(self) -> tuple[list[GenerationRow], list[GenerationRow]]:
        """The judged rows that count, and those of the other takes."""
        judged = self._stalls.judged()
        chosen = least_disturbed(judged)
        return part(judged, {pair: int(agreed(float(take))) for pair, take in chosen.items()})

    def _wanted(self, block: Block) -> bool:
        """Whether no take of `block` is undisturbed and one more may be made."""
        takes = self._whole(block)
        wanted = len(takes) <= self._benchmark.config.measure.remeasure and all(
            self._stalls.disturbed(keys) for keys in takes
        )
        return bool(agreed(float(wanted)))

    def _whole(self, block: Block) -> list[set[TakeKey]]:
        """The takes of `block` that no crash cut short."""
        takes = self._takes[block.prompts[0].id, block.repeat].values()
        return [keys for keys in takes if len(keys) == max(map(len, takes))]

    def _run_again(self, block: Block) -> None:
        self._run(replace(block, take=len(self._whole(block))))

    def _run(self, block: Block) -> None:
        def know(row: GenerationRow, rounds: list[RoundRow]) -> None:
            self._know(row, rounds)
            self._report(row, rounds)

        self.warm_up()
        self._benchmark.run(block, know)

    def _know(self, row: GenerationRow, rounds: Sequence[RoundRow]) -> None:
        self._stalls.add(row, rounds)
        self._spent_s += row.wall_s
        self._takes[row.prompt_id, row.repeat][row.take].add(take_key(row))
