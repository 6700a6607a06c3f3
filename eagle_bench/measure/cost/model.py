"""What the costs of the parts predict, beside what was measured (Leviathan et al. 2023).

A generation of N tokens in R rounds, whose first token the target's prefill made, decodes in
`t_p + R * (t_d + t_v + t_o)` seconds, and the baseline in `(N - 1) * t_1`, where t_p is the
drafter's prefill. With tau = (N - 1) / R emitted tokens per round their ratio is

    S = tau * t_1 / (t_p / R + t_d + t_v + t_o)

which for long outputs becomes `tau * t_1 / (t_d + t_v + t_o)`. Every term includes the loop's
own work on the host, in t_1 for the baseline and in t_o for the method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Costs:
    """One method's costs, in seconds, and its acceptance length.

    Attributes
    ----------
    step_s : float
        t_1: a token of the baseline, one target step.
    verify_s : float
        t_v(n): verification of the n tokens of a round (its root included).
    draft_s : float
        t_d(K): drafting for a round.
    other_s : float
        t_o: everything else in a round.
    tau : float
        Tokens per round.
    start_s : float
        t_p / R: the drafter's prefill, spread over the rounds.
    """

    step_s: float
    verify_s: float
    draft_s: float
    other_s: float
    tau: float
    start_s: float = 0.0

    @property
    def round_s(self) -> float:
        return self.start_s + self.draft_s + self.verify_s + self.other_s

    @property
    def speedup(self) -> float:
        """Decode speedup: tau * t_1 / (t_p / R + t_d + t_v + t_o)."""
        return self.tau * self.step_s / self.round_s

    def asymptotic(self, tau: float) -> float:
        """Decode speedup of endless outputs: no prefill, and nothing of `tau` cut off."""
        return replace(self, tau=tau, start_s=0.0).speedup


def residual(predicted: Costs, measured: Costs, measured_speedup: float) -> dict[str, float]:
    """Split log(measured / predicted speedup) by the term that differs.

    Parameters
    ----------
    predicted, measured : Costs
        From separate timings of the parts, and from the phases of real generation.
    measured_speedup : float
        Decode speedup of the timed run.

    Returns
    -------
    dict
        `tau`, `step`, `start`, `verify`, `draft`, `other`: each term's part; `unexplained`:
        what is left between the measured phases and the timed run; `total`: their sum. A part
        of -0.05 means that the term makes the measured speedup 5% lower than predicted. The
        seconds of a round are split by the logarithmic mean, so the parts add up exactly.
    """
    change = measured.round_s - predicted.round_s
    relative = math.log(measured.round_s / predicted.round_s)
    weight = relative / change if change else 1 / predicted.round_s
    parts = {
        "tau": math.log(measured.tau / predicted.tau),
        "step": math.log(measured.step_s / predicted.step_s),
        "start": -weight * (measured.start_s - predicted.start_s),
        "verify": -weight * (measured.verify_s - predicted.verify_s),
        "draft": -weight * (measured.draft_s - predicted.draft_s),
        "other": -weight * (measured.other_s - predicted.other_s),
        "unexplained": math.log(measured_speedup / measured.speedup),
    }
    return {**parts, "total": sum(parts.values())}


def iid_tau(acceptance: float, draft_len: int) -> float:
    """E[tokens per round] when each draft token is accepted with the same probability.

    (1 - a^(K + 1)) / (1 - a), a in [0, 1].
    """
    return math.fsum(acceptance**power for power in range(draft_len + 1))


def measured_tau(per_position: Sequence[float], draft_len: int) -> float:
    """Tokens per round of a chain of K from marginal acceptance at positions 1..K."""
    return 1 + math.fsum(per_position[:draft_len])


@dataclass(frozen=True)
class BestLength:
    """The draft length with the highest predicted speedup, and the curve it tops."""

    draft_len: int
    speedup: float
    curve: dict[int, float]


def best_length(
    tau: Callable[[int], float],
    round_s: Callable[[int], float],
    step_s: float,
    lengths: Sequence[int],
) -> BestLength:
    """Find the best chain length.

    Parameters
    ----------
    tau, round_s : callable
        Tokens per round and seconds per round for a draft length K; for instance
        `lambda k: iid_tau(0.8, k)` and `lambda k: draft_s(k) + verify_s(k + 1) + other_s`.
    step_s : float
        A target step with one token.
    lengths : sequence of int
        The lengths to consider.
    """
    curve = {length: tau(length) * step_s / round_s(length) for length in lengths}
    best = max(curve, key=lambda length: curve[length])
    return BestLength(best, curve[best], curve)


def oracle_bound(
    accept_lengths: Sequence[int], round_s: Callable[[int], float], step_s: float
) -> float:
    """Decode speedup had every round known beforehand how much would be accepted.

    A recorded round with a accepted tokens emits a + 1; the oracle emits them by the cheapest
    rounds that draft only what is accepted: one of K = a, or several shorter ones when
    verification is dear. Acceptance beyond the recorded depth is not known, so record with a
    chain at least as long as any method that the bound is compared with.

    Parameters
    ----------
    accept_lengths : sequence of int
        Of all rounds under the longest chain.
    round_s : callable
        Seconds of a round with K drafts; `round_s(0)` is a plain step as the method does it.
    step_s : float
        A baseline step.
    """
    longest = max(accept_lengths)
    cost_s = [0.0]
    for tokens in range(1, longest + 2):
        cost_s.append(
            min(round_s(length) + cost_s[tokens - length - 1] for length in range(tokens))
        )
    emitted = sum(accept_lengths) + len(accept_lengths)
    return emitted * step_s / math.fsum(cost_s[accepted + 1] for accepted in accept_lengths)


def gains(costs: Costs, max_tau: float) -> dict[str, float]:
    """Predicted speedup if one loss were halved, all else as it is.

    `acceptance` halves the distance of tau to `max_tau` (depth + 1), `drafting`, `other work`
    and `prefill of the drafter` halve their seconds, `verification` halves what verifying costs
    beyond a one-token step.
    """
    excess_s = max(costs.verify_s - costs.step_s, 0.0)
    return {
        "acceptance": replace(costs, tau=(costs.tau + max_tau) / 2).speedup,
        "drafting": replace(costs, draft_s=costs.draft_s / 2).speedup,
        "verification": replace(costs, verify_s=costs.verify_s - excess_s / 2).speedup,
        "other work": replace(costs, other_s=costs.other_s / 2).speedup,
        "prefill of the drafter": replace(costs, start_s=costs.start_s / 2).speedup,
    }


def advice(costs: Costs, max_tau: float) -> str:
    """What would help most, in one sentence."""
    effects = sorted(gains(costs, max_tau).items(), key=lambda effect: -effect[1])
    (best, speedup), (second, runner_up) = effects[:2]
    return (
        f"Better {best} would help most: halving what it loses would raise the predicted decode "
        f"speedup from {costs.speedup:.2f}x to {speedup:.2f}x ({second}: {runner_up:.2f}x)."
    )
