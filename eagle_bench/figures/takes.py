"""Which take of a pair counts: the least disturbed one, whatever its speedup."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from eagle_bench.records.rowfiles import generation_key
from eagle_bench.records.rows import GenerationRow

PairKey = tuple[str, int]
"""Prompt and repeat."""


def least_disturbed(takes: Sequence[GenerationRow]) -> dict[PairKey, int]:
    """The number of the take that counts, of each pair among judged generations.

    A take is both arms on all turns of a prompt in one repeat. Of the whole ones that counts
    which lost the least of its time to others; of several, the earliest. Both arms' seconds
    enter alike, and those that were not lost only as the scale, so the choice does not see which
    arm was fast.
    """
    pairs: dict[PairKey, dict[int, list[GenerationRow]]] = defaultdict(lambda: defaultdict(list))
    for row in takes:
        pairs[row.prompt_id, row.repeat][row.take].append(row)
    return {pair: _least_disturbed(by_take) for pair, by_take in pairs.items()}


def part(
    takes: Sequence[GenerationRow], chosen: Mapping[PairKey, int]
) -> tuple[list[GenerationRow], list[GenerationRow]]:
    """Rows of the chosen takes, in the order of the first takes, and the others."""
    counted = {
        generation_key(row): row for row in takes if row.take == chosen[row.prompt_id, row.repeat]
    }
    order = dict.fromkeys(map(generation_key, takes))
    others = [row for row in takes if row.take != chosen[row.prompt_id, row.repeat]]
    return [counted[key] for key in order if key in counted], others


def _least_disturbed(by_take: Mapping[int, Sequence[GenerationRow]]) -> int:
    whole = max(map(len, by_take.values()))
    complete = [take for take, rows in by_take.items() if len(rows) == whole]
    return min(complete, key=lambda take: (_lost_share(by_take[take]), take))


def _lost_share(rows: Sequence[GenerationRow]) -> float:
    lost_s = sum(row.lost_s for row in rows)
    return lost_s / (sum(row.wall_s for row in rows) - lost_s)
