"""Accuracy with the true tokens given beside acceptance in generation, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eagle_bench.figures.judged import Forced, Passage
from eagle_bench.figures.statistics import (
    Floats,
    Sampling,
    Scale,
    Statistic,
    cluster_interval,
    ratio,
    ratio_of_ratios,
)
from eagle_bench.records.generation import Generation

SCHEMA_VERSION = 1
"""Of `proxy.json`."""


@dataclass(frozen=True)
class Figure:
    """A value with its interval over prompts; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PositionFigures:
    """One draft position.

    Attributes
    ----------
    position : int
        Counted from 1, as in acceptance; TTT position `position` - 1.
    accuracy, loss : Figure
        Teacher-forced, over all judged tokens: share of the target's choices that the drafter
        had; the training's loss in nats.
    accuracy_given : Figure
        The same share where the positions before it were right, from the same start.
    acceptance : Figure
        Conditional acceptance c_k in generation.
    difference : Figure
        Acceptance less accuracy.
    """

    position: int
    accuracy: Figure
    loss: Figure
    accuracy_given: Figure
    acceptance: Figure
    difference: Figure


@dataclass(frozen=True)
class ProxyFigures:
    """The proxy and what it stands for.

    Attributes
    ----------
    tokens : int
        Judged tokens, the same at every position.
    followed : float
        Share of them that are the target's own choice.
    draftable : float
        Share of the target's choices that the drafter can propose at all.
    tau_predicted : Figure
        1 + the sum over positions of the accuracies' running product.
    tau_given : Figure
        The same of `accuracy_given`: how long runs of right positions are in this text.
    tau_measured : Figure
        Mean of accepted + 1 over all rounds.
    tau_ratio : Figure
        Measured over predicted.
    """

    prompts: int
    tokens: int
    followed: float
    draftable: float
    positions: list[PositionFigures]
    tau_predicted: Figure
    tau_given: Figure
    tau_measured: Figure
    tau_ratio: Figure
    rounds: int
    generated: int


def compare(
    passages: Sequence[Passage],
    forced: Sequence[Forced],
    generations: Mapping[str, Generation],
    ttt_length: int,
    sampling: Sampling,
) -> ProxyFigures:
    """Both sides over the same prompts; intervals resample prompts with all their turns.

    Parameters
    ----------
    forced : sequence of Forced
        Of each passage.
    generations : mapping
        By passage key, with a chain of `ttt_length`.
    """
    ids = list(dict.fromkeys(passage.prompt_id for passage in passages))
    sums = _Sums(len(ids), ttt_length)
    for passage, each in zip(passages, forced, strict=True):
        sums.add(ids.index(passage.prompt_id), each, generations[passage.key])

    def figure(statistic: Statistic, scale: Scale, *columns: Floats) -> Figure:
        return _figure(np.column_stack(columns), statistic, sampling, scale)

    def at(k: int) -> PositionFigures:
        hits = sums.hits[:, k], sums.places
        marginals = (
            *(sums.accepted[:, k + 1], sums.offered[:, k + 1]),
            *(sums.accepted[:, k], sums.offered[:, k]),
        )
        return PositionFigures(
            position=k + 1,
            accuracy=figure(ratio, "share", *hits),
            loss=figure(ratio, "log", sums.losses[:, k], sums.counted),
            accuracy_given=figure(ratio, "share", sums.runs[:, k], sums.starts[:, k]),
            acceptance=figure(ratio_of_ratios, "share", *marginals),
            difference=figure(_difference, "linear", *marginals, *hits),
        )

    forced_shares = sums.hits, np.repeat(sums.places[:, None], ttt_length, axis=1)
    rounds = sums.offered[:, 0]
    out = sums.accepted[:, 1:].sum(axis=1) + rounds, rounds
    return ProxyFigures(
        prompts=len(ids),
        tokens=int(sums.places.sum()),
        followed=float(sums.followed.sum() / sums.places.sum()),
        draftable=float(sums.counted.sum() / sums.places.sum()),
        positions=[at(k) for k in range(ttt_length)],
        tau_predicted=figure(_tau_of_shares, "log", *forced_shares),
        tau_given=figure(_tau_of_shares, "log", sums.runs, sums.starts),
        tau_measured=figure(ratio, "log", *out),
        tau_ratio=figure(_tau_ratio, "log", *out, *forced_shares),
        rounds=int(rounds.sum()),
        generated=sum(len(each.tokens) for each in generations.values()),
    )


class _Sums:
    """Sums by prompt.

    Attributes
    ----------
    hits, losses : float[prompts, positions]
    places, counted, followed : float[prompts]
    runs, starts : float[prompts, positions]
        Of the chains whose earlier positions were all right (`starts`), those whose position
        is right too.
    accepted, offered : float[prompts, positions + 1]
        Of the rounds that offered k positions, those that accepted k.
    """

    def __init__(self, prompts: int, positions: int) -> None:
        self.hits, self.losses, self.runs, self.starts = np.zeros((4, prompts, positions))
        self.places, self.counted, self.followed = np.zeros((3, prompts))
        self.accepted, self.offered = np.zeros((2, prompts, positions + 1))

    def add(self, row: int, forced: Forced, generation: Generation) -> None:
        self.hits[row] += forced.hits.sum(axis=1)
        self.losses[row] += forced.losses[:, forced.counted].sum(axis=1)
        self.places[row] += len(forced.tokens)
        self.counted[row] += forced.counted.sum()
        self.followed[row] += (forced.tokens == forced.choices).sum()
        right = np.ones(len(forced.tokens), dtype=bool)
        for k, hits in enumerate(forced.hits):
            self.starts[row, k] += right.sum()
            right = right & hits[k:]
            self.runs[row, k] += right.sum()
            right = right[:-1]
        reach = np.arange(self.offered.shape[1])
        depth = np.array([each.depth for each in generation.rounds])[:, None]
        taken = np.array([each.accepted for each in generation.rounds])[:, None]
        self.offered[row] += (depth >= reach).sum(axis=0)
        self.accepted[row] += ((depth >= reach) & (taken >= reach)).sum(axis=0)


def _figure(clusters: Floats, statistic: Statistic, sampling: Sampling, scale: Scale) -> Figure:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(clusters.sum(axis=0)))
    if not math.isfinite(value):
        return Figure(None, None, None)
    interval = cluster_interval(clusters, statistic, sampling, scale=scale)
    if interval is None:
        return Figure(value, None, None)
    return Figure(value, interval.low, interval.high)


def _difference(sums: Floats) -> Floats:
    """Columns 0 to 3 as `ratio_of_ratios`, less column 4 over column 5."""
    return np.asarray(ratio_of_ratios(sums[..., :4]) - ratio(sums[..., 4:]), dtype=np.float64)


def _tau_of_shares(sums: Floats) -> Floats:
    """1 + the sum of running products of the columns' first half over their second half."""
    half = sums.shape[-1] // 2
    shares = sums[..., :half] / sums[..., half:]
    return np.asarray(1 + np.cumprod(shares, axis=-1).sum(axis=-1), dtype=np.float64)


def _tau_ratio(sums: Floats) -> Floats:
    """Column 0 over column 1, over the tau that the others predict."""
    return np.asarray(ratio(sums) / _tau_of_shares(sums[..., 2:]), dtype=np.float64)


@dataclass(frozen=True)
class TokenRow:
    """One token of a text: itself, the target's choice, each position's draft, who was right."""

    token: str
    choice: str
    drafted: list[str]
    hits: list[bool]


@dataclass(frozen=True)
class Sample:
    """The first tokens of one answer."""

    prompt_id: str
    turn: int
    rows: list[TokenRow]


@dataclass(frozen=True)
class ProxyResult:
    """All of a proxy run.

    Attributes
    ----------
    text : dict
        `source` (`dataset` or `target`), `sentence`, and the turns left out by reason.
    """

    config: dict[str, Any]
    text: dict[str, Any]
    figures: ProxyFigures
    samples: list[Sample]
    provenance: dict[str, Any]

    def plain(self) -> dict[str, Any]:
        """As plain JSON types: what `proxy.json` holds."""
        return {"schema_version": SCHEMA_VERSION} | asdict(self)
