"""Is B faster than A? Two results, paired by prompt, figure by figure with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eagle_bench.errors import UserError
from eagle_bench.figures.frame import frame
from eagle_bench.figures.pairing import is_disturbed, pair, undisturbed
from eagle_bench.figures.statistics import (
    Floats,
    Interval,
    Sampling,
    Statistic,
    cluster_interval,
    ratio,
    ratio_of_ratios,
    widest,
)
from eagle_bench.figures.summary import RATIOS, SPECULATIVE_RATIOS
from eagle_bench.figures.tau import RATIOS as TAU_RATIOS
from eagle_bench.records.find import Found, find_jobs
from eagle_bench.records.generation import BASELINE
from eagle_bench.records.job import Job
from eagle_bench.records.rowfiles import read_generations
from eagle_bench.results.swept import settings, swept_keys, value_text

SPEEDUP = "speedup"
SPECULATIVE_FIGURES = {
    "throughput_tok_s": RATIOS["throughput_tok_s"],
    "calls_per_token": RATIOS["calls_per_token"],
    "tau": TAU_RATIOS["tau"],
    "acceptance_rate": SPECULATIVE_RATIOS["acceptance_rate"],
}
BASELINE_FIGURES = {"baseline_tok_s": RATIOS["throughput_tok_s"]}
FIGURES = (SPEEDUP, *SPECULATIVE_FIGURES, *BASELINE_FIGURES)
SPEEDUP_COLUMNS = ["new_tokens/s", "busy_s/s", "new_tokens/b", "busy_s/b"]
SAMPLING = Sampling(seed=0, resamples=4000, confidence=0.95)


@dataclass(frozen=True)
class Change:
    """One figure in both results, over the prompts they share.

    `ratio` is B/A and `difference` B-A, each with a 95% interval that resamples prompts;
    None where a figure is not defined, an interval also with fewer than five prompts.
    """

    figure: str
    a: float | None
    b: float | None
    ratio: float | None
    ratio_interval: Interval | None
    difference: float | None
    difference_interval: Interval | None


@dataclass(frozen=True)
class Comparison:
    """Two jobs: what they are, what they share, and how the figures changed.

    Attributes
    ----------
    name : str
        The swept settings that A and B have in common; empty for two single runs.
    prompts : int
        Prompts (with turns) in both; `only_a`, `only_b` count the others, left out.
    retokenised : int
        Shared prompts that have other prompt tokens in B.
    disturbed : bool
        Whether others' work took some of the seconds in A or B. The speedup's intervals then also
        cover what they are without these seconds.
    """

    name: str
    a: Path
    b: Path
    prompts: int
    only_a: int
    only_b: int
    retokenised: int
    disturbed: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Compared:
    """The jobs that could be compared, and a sentence per job of either side that could not."""

    comparisons: list[Comparison]
    gaps: list[str]

    def checked(self) -> Compared:
        """Itself.

        Raises
        ------
        UserError
            Not one job could be compared.
        """
        if not self.comparisons:
            raise UserError(f"There is nothing to compare: {'; '.join(self.gaps)}.")
        return self


def compare(a: Path | str, b: Path | str) -> Compared:
    """Compare two runs, or the jobs of two sweeps that have the same swept settings.

    Raises
    ------
    UserError
        A side has no results, or the two have no job in common.
    """
    a, b = Path(a), Path(b)
    found_a, found_b = find_jobs([a]), find_jobs([b])
    matched, alone = _matched((a, found_a), (b, found_b))
    compared = Compared([], [*found_a.gaps, *found_b.gaps, *alone])
    for name, job_a, job_b in matched:
        try:
            compared.comparisons.append(_compare_jobs(name, job_a, job_b))
        except UserError as error:
            compared.gaps.append(str(error).rstrip("."))
    return compared


def _matched(*found: tuple[Path, Found]) -> tuple[list[tuple[str, Job, Job]], list[str]]:
    """The pairs of complete jobs, and a sentence per complete job that has no counterpart."""
    a, b = (folder for folder, _ in found)
    sides = [[job for job in each.jobs if job.complete] for _, each in found]
    if not all(sides):
        return [], []
    if len(sides[0]) == len(sides[1]) == 1:
        return [("", sides[0][0], sides[1][0])], []
    keys = list(dict.fromkeys(key for jobs in sides for key in swept_keys(jobs)))
    named_a, named_b = ({_point(job, keys): job for job in jobs} for jobs in sides)
    shared = [point for point in named_a if point in named_b]
    if not shared:
        raise UserError(
            f"{a} and {b} have no job in common: none agrees in {', '.join(keys) or 'settings'}."
        )
    alone = [
        f"{job.folder} has no complete counterpart under {other}"
        for named, others, other in ((named_a, named_b, b), (named_b, named_a, a))
        for point, job in named.items()
        if point not in others
    ]
    return [(point, named_a[point], named_b[point]) for point in shared], alone


def _point(job: Job, keys: Sequence[str]) -> str:
    values = settings(job.config)
    return ", ".join(f"{key}={value_text(values.get(key))}" for key in keys)


def _compare_jobs(name: str, a: Job, b: Job) -> Comparison:
    sides = [_Side(a), _Side(b)]
    shared = sides[0].prompts.intersection(sides[1].prompts)
    if shared.empty:
        raise UserError(f"{a.folder} and {b.folder} have no prompt in common.")
    clusters = [side.clusters(shared) for side in sides]
    common = clusters[0][SPEEDUP].index.intersection(clusters[1][SPEEDUP].index)
    speedups = [cluster[SPEEDUP].loc[common] for cluster in clusters]
    disturbed = any(map(is_disturbed, speedups))
    readings = [speedups] + [[undisturbed(cells, "busy_s") for cells in speedups]] * disturbed
    changes = [
        _widened(
            [
                _change(SPEEDUP, *(_by_prompt(each[SPEEDUP_COLUMNS]) for each in reading))
                for reading in readings
            ]
        )
    ]
    for figure in (*SPECULATIVE_FIGURES, *BASELINE_FIGURES):
        parts = [_by_prompt(cluster[figure].loc[shared]) for cluster in clusters]
        changes.append(_change(figure, *parts))
    then, now = (side.contexts.loc[shared] for side in sides)
    hashed = then["sha256"].notna() & now["sha256"].notna()  # Older rows have the length alone.
    others = (then["tokens"] != now["tokens"]) | (hashed & (then["sha256"] != now["sha256"]))
    return Comparison(
        name,
        a.folder,
        b.folder,
        prompts=len(shared),
        only_a=len(sides[0].prompts) - len(shared),
        only_b=len(sides[1].prompts) - len(shared),
        retokenised=int(others.sum()),
        disturbed=disturbed,
        changes=tuple(changes),
    )


class _Side:
    """One job's rows as sums per prompt and turn."""

    def __init__(self, job: Job) -> None:
        if job.method is None:
            raise UserError(f"{job.folder} has only the baseline: there is nothing to compare.")
        rows, faults = read_generations(job.folder)
        if faults:
            raise UserError(f"{faults[0]}, so {job.folder} cannot be compared.")
        if not rows:
            raise UserError(f"{job.folder} has no generation rows to compare.")
        self._method = job.method
        self._greedy = settings(job.config).get("temperature", 0.0) == 0.0
        self._table = frame(rows)
        by_prompt = pd.DataFrame(
            {
                "prompt_id": [row.prompt_id for row in rows],
                "turn": [row.turn for row in rows],
                "tokens": [row.prompt_tokens for row in rows],
                "sha256": [row.prompt_sha256 for row in rows],
            }
        )
        self.contexts = by_prompt.groupby(["prompt_id", "turn"]).first()
        arms = [self._arm(arm).index for arm in (self._method, BASELINE)]
        self.prompts = arms[0].intersection(arms[1])

    def clusters(self, shared: pd.Index[Any]) -> dict[str, pd.DataFrame]:
        """Numerators and denominators of each figure, by prompt and turn."""
        pairs = pair(self._table, self._method, drop_flagged=self._greedy).cells
        speculative, baseline = self._arm(self._method), self._arm(BASELINE)
        return {
            SPEEDUP: pairs.loc[pairs.index.intersection(shared)],
            **{name: speculative[list(columns)] for name, columns in SPECULATIVE_FIGURES.items()},
            **{name: baseline[list(columns)] for name, columns in BASELINE_FIGURES.items()},
        }

    def _arm(self, arm: str) -> pd.DataFrame:
        own = self._table[self._table["arm"] == arm]
        return own.groupby(["prompt_id", "turn"]).sum(numeric_only=True)


def _by_prompt(cells: pd.DataFrame) -> Floats:
    sums = cells.groupby(level="prompt_id", sort=True).sum()
    return sums.to_numpy(np.float64)


def _widened(readings: Sequence[Change]) -> Change:
    """The first of several readings of a change, with intervals that cover all of them."""
    return replace(
        readings[0],
        ratio_interval=widest([each.ratio_interval for each in readings]),
        difference_interval=widest([each.difference_interval for each in readings]),
    )


def _change(figure: str, a: Floats, b: Floats) -> Change:
    statistic: Statistic = ratio_of_ratios if figure == SPEEDUP else ratio
    columns = a.shape[1]
    both = np.hstack([a, b])

    def quotient(sums: Floats) -> Floats:
        return np.asarray(statistic(sums[..., columns:]) / statistic(sums[..., :columns]))

    def difference(sums: Floats) -> Floats:
        return np.asarray(statistic(sums[..., columns:]) - statistic(sums[..., :columns]))

    total = both.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        changed = _number(quotient(total))
        return Change(
            figure,
            _number(statistic(total[:columns])),
            _number(statistic(total[columns:])),
            changed,
            None if changed is None else cluster_interval(both, quotient, SAMPLING),
            _number(difference(total)),
            None
            if changed is None
            else cluster_interval(both, difference, SAMPLING, scale="linear"),
        )


def _number(value: Floats) -> float | None:
    return float(value) if math.isfinite(value) else None
