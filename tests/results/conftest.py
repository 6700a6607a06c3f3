"""Synthetic runs: a small simulation of both arms whose parameters the tests know."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from eagle_bench.figures.lossless import LosslessReport
from eagle_bench.figures.summary import summarise
from eagle_bench.records.job import Job
from eagle_bench.records.rows import GenerationRow, RoundRow
from eagle_bench.records.store import RunFolder
from eagle_bench.results.charts.files import plot_sweep
from eagle_bench.results.tables.jobs import job_table
from eagle_bench.results.trackers.tracker import JobRecord, SweepRecord

DRAFT_LEN = 4
STEP_S = 0.010
DRAFT_S = 0.002
CATEGORIES = ("arithmetic", "story", "table")


@dataclass(frozen=True)
class Simulation:
    """Rows of one run: each draft token is accepted with probability `accept`."""

    prompts: int = 12
    gen_len: int = 60
    accept: float = 0.7
    repeats: int = 1
    seed: int = 0
    slow: float = 1.0

    def rows(self) -> tuple[list[GenerationRow], list[RoundRow]]:
        generations: list[GenerationRow] = []
        rounds: list[RoundRow] = []
        for prompt in range(self.prompts):
            rng = random.Random(f"{self.seed}/{prompt}")
            tokens = [rng.randrange(500) for _ in range(self.gen_len)]
            accepted = self._accepted(rng)
            for repeat in range(self.repeats):
                for arm in ("baseline", "chain"):
                    own = [] if arm == "baseline" else accepted
                    row = self._generation(prompt, arm, repeat, tokens, own, rng)
                    generations.append(row)
                    rounds += self._rounds(row)
        return generations, rounds

    def _accepted(self, rng: random.Random) -> list[int]:
        lengths: list[int] = []
        while 1 + sum(lengths) + len(lengths) < self.gen_len:
            length = 0
            while length < DRAFT_LEN and rng.random() < self.accept:
                length += 1
            lengths.append(length)
        return lengths

    def _generation(
        self,
        prompt: int,
        arm: str,
        repeat: int,
        tokens: list[int],
        accepted: list[int],
        rng: random.Random,
    ) -> GenerationRow:
        calls = 1 + len(accepted) if accepted else self.gen_len
        drafts = DRAFT_LEN * len(accepted)
        noise = 1 + rng.gauss(0, 0.01)
        wall_s = (calls * STEP_S + drafts * DRAFT_S * self.slow) * noise
        return GenerationRow(
            prompt_id=f"p{prompt}",
            category=CATEGORIES[prompt % len(CATEGORIES)],
            turn=0,
            arm=arm,
            repeat=repeat,
            gen_len=self.gen_len,
            new_tokens=self.gen_len,
            stop_reason="length",
            prompt_tokens=20 + prompt,
            token_ids=tokens,
            wall_s=wall_s,
            prefill_s=STEP_S,
            decode_s=wall_s - STEP_S,
            target_calls=calls,
            draft_calls=drafts,
            rounds=len(accepted),
            accept_lengths=accepted,
            overshoot=max(0, 1 + sum(accepted) + len(accepted) - self.gen_len),
            drafted=drafts,
            drafted_depth=drafts,
            accepted=sum(accepted),
            peak_bytes=1_000_000,
        )

    def _rounds(self, row: GenerationRow) -> list[RoundRow]:
        rows = []
        position = 1
        for index, accepted in enumerate(row.accept_lengths):
            rows.append(
                RoundRow(
                    prompt_id=row.prompt_id,
                    turn=0,
                    arm=row.arm,
                    repeat=row.repeat,
                    round=index,
                    position=position,
                    context_len=row.prompt_tokens + position,
                    depth=DRAFT_LEN,
                    nodes=DRAFT_LEN,
                    accepted=accepted,
                    phases_s={"draft": 0.008, "verify": 0.01} if index % 2 else {},
                )
            )
            position += accepted + 1
        return rows

    def summary(self) -> dict[str, Any]:
        return _summary(self)


@cache
def _summary(run: Simulation) -> dict[str, Any]:
    rows, rounds = run.rows()
    summary = summarise(
        rows,
        gen_len=run.gen_len,
        seed=0,
        resamples=200,
        confidence=0.95,
        lossless=LosslessReport(()),
        rounds=rounds,
    )
    phases = {"new_tokens": 100, "phases_s": {"draft": 0.2, "verify": 0.8}, "remainder_s": 0.01}
    return summary | {
        "lossless": {"exact_share": 1.0, "pairs": run.prompts},
        "phases": {"baseline": phases, "chain": phases},
    }


def plain_config(**changes: Any) -> dict[str, Any]:
    """A run's config as plain data; `decoding__draft_len=2` sets a dotted key."""
    config: dict[str, Any] = {
        "engine": {"name": "own"},
        "model": {"name": "embedded", "path": None},
        "drafter": {"name": "embedded", "path": None},
        "dataset": {"name": "embedded", "path": None},
        "decoding": {"name": "chain", "proposal": "greedy", "draft_len": DRAFT_LEN},
        "tracker": {"name": "none", "uri": None},
        "measure": {"bootstrap_resamples": 200, "confidence": 0.95},
        "gen_len": 60,
        "seed": 0,
        "temperature": 0.0,
        "output_dir": "outputs",
    }
    for name, value in changes.items():
        group, _, key = name.rpartition("__")
        (config[group] if group else config)[key] = value
    return config


Finish = Callable[..., Job]


@pytest.fixture
def finish() -> Finish:
    """Write a complete run folder: `finish(folder, simulation, **config changes)`."""

    def write(folder: Path, simulation: Simulation, **changes: Any) -> Job:
        rows, rounds = simulation.rows()
        with RunFolder(folder) as run:
            run.append_rounds(rounds)
            for row in rows:
                run.append(row)
            config = plain_config(**{"gen_len": simulation.gen_len} | changes)
            return run.finish(simulation.summary(), config, {"host": "test"})

    return write


@pytest.fixture
def simulation() -> type[Simulation]:
    """The simulation's class, for tests that choose its parameters."""
    return Simulation


@pytest.fixture
def config() -> Callable[..., dict[str, Any]]:
    """`plain_config`."""
    return plain_config


@pytest.fixture
def length_sweep(tmp_path: Path, finish: Finish) -> Path:
    """Three complete jobs that differ in `gen_len`, written out of order."""
    lengths: Sequence[int] = (200, 50, 100)
    for index, gen_len in enumerate(lengths):
        finish(tmp_path / f"job{index}", Simulation(gen_len=gen_len))
    return tmp_path


SECRET = "s3cr3t-Value-0123456789"


@pytest.fixture
def secret() -> str:
    """A password that the config of `record` holds."""
    return SECRET


@pytest.fixture
def record(tmp_path: Path, finish: Finish) -> JobRecord:
    """A finished job, ready for a tracker."""
    uri = f"https://me:{SECRET}@host"
    job = finish(tmp_path / "job", Simulation(prompts=6), tracker__uri=uri)
    return JobRecord(job, "sweep-1", job_table([job]))


@pytest.fixture
def sweep_record(tmp_path: Path, record: JobRecord) -> SweepRecord:
    """The report of a sweep with one job."""
    job = record.job
    pictures = plot_sweep([job], tmp_path)[:1]
    return SweepRecord("sweep-1", [job], record.table, pictures, [job.folder / "result.json"])
