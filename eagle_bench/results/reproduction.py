"""Did a repeated run say and show the same as the one it repeats?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eagle_bench.records.job import Job
from eagle_bench.records.rowfiles import generation_key, read_generations
from eagle_bench.results.compare import SPEEDUP, Comparison, compare
from eagle_bench.results.flatten import flatten

CIRCUMSTANCES = (
    "host python versions device threads cpu gpu cuda container git target.implementation "
    "target.packed_from_rows target.dtype checkpoints_sha256 dataset.sha256"
).split()
"""Parts of the provenance that can make a repeated run differ."""


@dataclass(frozen=True)
class Reproduction:
    """A recorded run and its repetition.

    Attributes
    ----------
    pairs, equal : int
        Generations that both have, and how many of them have the same tokens.
    differences : dict[str, tuple]
        What was not as it was: dotted name, then and now.
    comparison : Comparison
        The figures, repetition over record.
    """

    pairs: int
    equal: int
    differences: dict[str, tuple[Any, Any]]
    comparison: Comparison

    @property
    def same_tokens(self) -> bool:
        return self.equal == self.pairs

    @property
    def same_speedup(self) -> bool:
        """Whether 1.0 lies in the interval of the ratio of the two speedups."""
        change = next(each for each in self.comparison.changes if each.figure == SPEEDUP)
        interval = change.ratio_interval
        return interval is not None and interval.low <= 1.0 <= interval.high


def reproduction(record: Job, repeated: Job) -> Reproduction:
    """Compare a recorded run with its repetition.

    Raises
    ------
    UserError
        They have no prompt in common.
    """
    then, now = (
        {generation_key(row): row.token_ids for row in read_generations(job.folder)[0]}
        for job in (record, repeated)
    )
    shared = then.keys() & now.keys()
    [comparison] = compare(record.folder, repeated.folder).checked().comparisons
    return Reproduction(
        pairs=len(shared),
        equal=sum(then[key] == now[key] for key in shared),
        differences=_differences(record.provenance, repeated.provenance),
        comparison=comparison,
    )


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    sides = [flatten(then), flatten(now)]
    names = [
        name
        for name in dict.fromkeys([*sides[0], *sides[1]])
        if any(name == part or name.startswith(f"{part}.") for part in CIRCUMSTANCES)
    ]
    return {
        name: (sides[0].get(name), sides[1].get(name))
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    }
