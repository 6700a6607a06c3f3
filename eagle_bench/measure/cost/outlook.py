"""What the cost model says of other draft lengths and trees, from rounds that were recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eagle_bench.config.decoding import DecodingConfig
from eagle_bench.measure.cost.model import Costs, best_length, measured_tau

LONGEST = 8
"""Chains are timed and predicted up to this length, whatever the run's own."""


def depths(decoding: DecodingConfig, deepest: int, levels: int | None = None) -> list[int]:
    """The depths to compare of a method whose recorded rounds went `deepest` levels.

    None that is beyond `levels`, all that a drafter has. Empty for a method that has no fixed
    depth.
    """
    if decoding.depth_key is None:
        return []
    if decoding.is_tree:
        return list(range(1, deepest + 1))
    return timed_lengths(max(min(LONGEST, levels or LONGEST), deepest))


def timed_lengths(longest: int) -> list[int]:
    """Chain lengths to time: all up to `LONGEST`, then every fourth, and `longest`."""
    every = range(1, min(longest, LONGEST) + 1)
    return sorted({*every, *range(LONGEST, longest, 4), *([longest] if longest else [])})


def reached(accept_lengths: Sequence[int], deepest: int) -> list[float]:
    """Share of all rounds that accepted at least 1, 2, ..., `deepest` tokens."""
    accepted = np.asarray(accept_lengths)
    return [float((accepted >= position).mean()) for position in range(1, deepest + 1)]


def best_depth(
    costs: Costs,
    tau: float,
    shares: Sequence[float],
    round_s: Mapping[int, float],
    draft_s: Mapping[int, float],
) -> dict[str, Any]:
    """Predicted speedup by depth, and the best one.

    Parameters
    ----------
    costs : Costs
        The run's own prediction: its t_1, its prefill, the emitted tokens of its rounds.
    tau : float
        Of the same rounds, before the last one was cut off; what is cut off is taken to be the
        same share at every depth.
    shares : sequence of float
        From `reached`: what the run's rounds tell. Deeper positions are taken to be accepted
        as often, given the one before, as the last one that was recorded.
    round_s, draft_s : mapping
        Seconds of a round by depth, without the drafter's prefill, and those of its drafting:
        each depth timed, since a head that drafts at once takes as long for few levels.

    Returns
    -------
    dict
        `curve`: per depth `depth`, `tau`, `round_s`, `draft_s`, `speedup`, `recorded` (false where
        acceptance is extrapolated); `best` and `best_speedup` among the recorded ones;
        `best_beyond` the best of all, extrapolated ones included.
    """
    known = len(shares)
    last = shares[-1] / shares[-2] if known > 1 and shares[-2] else shares[-1]
    deepest = max(round_s)
    longer = [*shares, *(shares[-1] * last**further for further in range(1, deepest - known + 1))]
    emitted = costs.tau / tau

    def tokens(depth: int) -> float:
        return emitted * measured_tau(longer, depth)

    def seconds(depth: int) -> float:
        return round_s[depth] + costs.start_s * tokens(depth) / costs.tau

    found = best_length(tokens, seconds, costs.step_s, sorted(round_s))
    recorded = {depth: found.curve[depth] for depth in found.curve if depth <= known}
    best = max(recorded, key=recorded.__getitem__)
    return {
        "curve": [
            {
                "depth": depth,
                "tau": measured_tau(longer, depth),
                "round_s": round_s[depth],
                "draft_s": draft_s[depth],
                "speedup": speedup,
                "recorded": depth in recorded,
            }
            for depth, speedup in found.curve.items()
        ],
        "best": best,
        "best_speedup": recorded[best],
        "best_beyond": found.draft_len,
        "best_beyond_speedup": found.speedup,
    }


def break_even(
    costs: Costs, tau: float, nodes: float, verify_s: Mapping[int, float]
) -> list[dict[str, float]]:
    """The tau at which a tree of other size would be as fast as the run's.

    Which nodes of a tree were accepted is not recorded, so a smaller tree's tau is not known;
    what it may lose is. `nodes` are the run's drafted ones per round, `verify_s` is t_v by
    tokens (nodes and root).
    """
    sizes = sorted(verify_s)
    seconds = [verify_s[size] for size in sizes]
    own_s = float(np.interp(nodes + 1, sizes, seconds))
    return [
        {
            "nodes": size - 1,
            "verify_s": verify_s[size],
            "tau": tau * (costs.round_s + verify_s[size] - own_s) / costs.round_s,
        }
        for size in sizes
        if size > 1
    ]
