"""Where acceptance ends: by position in the draft, in the output and in the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eagle_bench.measure.rows import GenerationRow, RoundRow

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Positions:
    """Acceptance at draft positions 1..depth.

    `marginal[k-1]` is the share of the rounds offering at least k positions in which at least
    k were accepted; `conditional[k-1]` is that over the marginal one position earlier.
    `histogram[a]` counts rounds with a accepted, a = 0..depth.
    """

    marginal: list[float | None]
    conditional: list[float | None]
    histogram: list[int]


def positions(accepted: Ints, depth: Ints) -> Positions:
    """From each round's accepted tokens `int[rounds]` and offered depth `int[rounds]`."""
    deepest = int(depth.max(initial=0))
    marginal: list[float | None] = []
    conditional: list[float | None] = []
    before: float | None = 1.0
    for position in range(1, deepest + 1):
        offered = depth >= position
        share = float((accepted[offered] >= position).mean())
        marginal.append(share)
        conditional.append(share / before if before else None)
        before = share
    return Positions(marginal, conditional, np.bincount(accepted, minlength=deepest + 1).tolist())


def round_table(rows: Sequence[GenerationRow], rounds: Sequence[RoundRow] = ()) -> pd.DataFrame:
    """One line per round of `rows`: accepted, depth, position, context_len, all in tokens.

    `position` is the index in the output of the round's first token, `context_len` the tokens
    before it. Depths come from the round rows where given; a generation row alone knows only
    their sum, which is then laid out as equal depths with what remains last. That is exact for
    drafts of one fixed depth, the last round's cut or not.
    """
    recorded = {
        (row.prompt_id, row.turn, row.arm, row.repeat, row.round): row.depth for row in rounds
    }
    deepest = {
        arm: max(
            (_even_depth(row) for row in rows if row.arm == arm and row.rounds),
            default=0,
        )
        for arm in {row.arm for row in rows}
    }
    lines: list[tuple[int, int, int, int]] = []
    for row in rows:
        left = row.drafted_depth
        position = row.new_tokens + row.overshoot - sum(row.accept_lengths) - row.rounds
        for index, accepted in enumerate(row.accept_lengths):
            even = max(min(deepest[row.arm], left), accepted)
            left -= even
            key = (row.prompt_id, row.turn, row.arm, row.repeat, index)
            depth = recorded.get(key, even)
            lines.append((accepted, depth, position, row.prompt_tokens + position))
            position += accepted + 1
    return pd.DataFrame(lines, columns=["accepted", "depth", "position", "context_len"])


def _even_depth(row: GenerationRow) -> int:
    return max(-(-row.drafted_depth // row.rounds), *row.accept_lengths)


def by_bin(table: pd.DataFrame, column: str, edges: Sequence[int]) -> pd.DataFrame:
    """Acceptance along the output or the context.

    Parameters
    ----------
    table : DataFrame
        From `round_table`.
    column : str
        `position` or `context_len`.
    edges : sequence of int
        Increasing bounds in tokens; bin i holds edges[i] <= value < edges[i + 1].

    Returns
    -------
    DataFrame
        Per bin that holds a round: `first`, `last` (tokens, inclusive), `rounds`, `tau`,
        `acceptance_of_depth`.
    """
    bins = pd.cut(table[column], list(edges), right=False, labels=list(edges[:-1]))
    sums = table.groupby(bins, observed=True)[["accepted", "depth"]].agg(["sum", "size"])
    last = dict(zip(edges[:-1], [edge - 1 for edge in edges[1:]], strict=True))
    rounds = sums[("accepted", "size")]
    return pd.DataFrame(
        {
            "first": [int(first) for first in sums.index],
            "last": [last[int(first)] for first in sums.index],
            "rounds": rounds.to_numpy(),
            "tau": (sums[("accepted", "sum")] / rounds + 1).to_numpy(),
            "acceptance_of_depth": (sums[("accepted", "sum")] / sums[("depth", "sum")]).to_numpy(),
        }
    )
