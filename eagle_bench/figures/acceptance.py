"""Where acceptance ends: by position in the draft, in the output and in the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eagle_bench.figures.statistics import Sampling, cluster_interval, ratio_of_ratios
from eagle_bench.records.rows import GenerationRow, RoundRow

Ints = NDArray[np.int64]
FIRST_BIN = {"position": 32, "context_len": 64}
"""Width in tokens of the first bin along the output and the context; later bins double."""


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


def position_intervals(table: pd.DataFrame, sampling: Sampling) -> dict[str, list[Any]]:
    """Intervals of `positions`, `[low, high]` or None each, from a `round_table`."""
    accepted, depth = table["accepted"].to_numpy(), table["depth"].to_numpy()
    reach = np.arange(int(depth.max(initial=0)) + 1)
    offered = depth[:, None] >= reach
    passed = offered & (accepted[:, None] >= reach)
    _, prompts = np.unique(table["prompt_id"].to_numpy(str), return_inverse=True)
    sums = np.zeros((len(set(prompts.tolist())), len(reach), 2))
    np.add.at(sums, prompts, np.stack([passed, offered], axis=-1))
    found: dict[str, list[Any]] = {"per_position": [], "per_position_conditional": []}
    for k in reach[1:]:
        for name, before in (("per_position", 0), ("per_position_conditional", k - 1)):
            clusters = np.concatenate([sums[:, k], sums[:, before]], axis=-1)
            bounds = cluster_interval(clusters, ratio_of_ratios, sampling, scale="share")
            found[name].append([bounds.low, bounds.high] if bounds else None)
    return found


def round_table(rows: Sequence[GenerationRow], rounds: Sequence[RoundRow] = ()) -> pd.DataFrame:
    """One line per round of `rows`: prompt_id, then accepted, depth, position, context_len.

    All in tokens. `position` is the index in the output of the round's first token,
    `context_len` the tokens before it. Depths come from the round rows where given; a
    generation row alone knows only their sum, which is then laid out as equal depths with what
    remains last. That is exact for drafts of one fixed depth, the last round's cut or not. Rows
    that do not tell their rounds have none here.
    """
    recorded = {
        (row.prompt_id, row.turn, row.arm, row.repeat, row.round): row.depth for row in rounds
    }
    deepest = {
        arm: max(
            (even_depth(row) for row in rows if row.arm == arm),
            default=0,
        )
        for arm in {row.arm for row in rows}
    }
    lines: list[tuple[str, int, int, int, int]] = []
    for row in rows:
        if row.accept_lengths is None:
            continue
        left = row.drafted_depth or 0
        position = (
            row.new_tokens + row.overshoot - sum(row.accept_lengths) - len(row.accept_lengths)
        )
        for index, accepted in enumerate(row.accept_lengths):
            even = max(min(deepest[row.arm], left), accepted)
            left -= even
            key = (row.prompt_id, row.turn, row.arm, row.repeat, index)
            depth = recorded.get(key, even)
            context_len = row.prompt_tokens + position
            lines.append((row.prompt_id, accepted, depth, position, context_len))
            position += accepted + 1
    columns = ["prompt_id", "accepted", "depth", "position", "context_len"]
    return pd.DataFrame(lines, columns=columns)


def even_depth(row: GenerationRow) -> int:
    """The least depth that all rounds of `row` can have had; 0 without a round."""
    if not row.rounds or row.drafted_depth is None:
        return 0
    even: int = max([-(-row.drafted_depth // row.rounds), *(row.accept_lengths or ())])
    return even


def along(table: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """`by_bin` as plain data, in bins that double in width from `FIRST_BIN[column]` on."""
    edges = [0, FIRST_BIN[column]]
    while edges[-1] <= table[column].max():
        edges.append(2 * edges[-1])
    bins = by_bin(table, column, edges).astype(object)
    return [{str(k): v for k, v in line.items()} for line in bins.to_dict("records")]


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
