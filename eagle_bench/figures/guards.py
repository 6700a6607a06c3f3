"""Reasons to mark a result suspect: small checks over rows, summary and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from eagle_bench.figures.acceptance import round_table
from eagle_bench.figures.disturbance import disturbed
from eagle_bench.figures.machine_guards import (
    Guard,
    busy_machine,
    drifting,
    mixed_machines,
    narrow_affinity,
    throttled,
)
from eagle_bench.figures.statistics import FEWEST_CLUSTERS
from eagle_bench.records.rows import GenerationRow

LOOP_WINDOW = 100
LOOP_MIN_TOKENS = 32
LOOP_UNIQUE_SHARE = 0.3
LOOP_GENERATIONS = 0.05
EOS_SHARE = 0.5
FLOOR_FACTOR = 10.0
STEP_FACTOR = 1.4
HOST_FACTOR = 1.6


def check(
    rows: Sequence[GenerationRow],
    summary: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return the violated guards, as plain dicts; parameters as `inspect_all`."""
    return [asdict(guard) for guard in inspect_all(rows, summary, provenance) if not guard.ok]


def inspect_all(
    rows: Sequence[GenerationRow],
    summary: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> list[Guard]:
    """Evaluate every guard that has what it needs.

    Parameters
    ----------
    rows : sequence of GenerationRow
    summary : mapping
        From `figures.summarise` of the same rows, with `costs` where the cost model ran.
    provenance : mapping
        From `provenance.capture`.
    """
    guards = [
        few_prompts(summary["prompts"]),
        unequal_counts(summary["flagged_pairs"], summary["speedup"]["pairs"]),
        changed_output(summary["lossless"]),
        interval_crosses_one(summary["speedup"]["low"], summary["speedup"]["high"]),
        disturbed(summary["disturbance"]),
        busy_machine(rows, provenance),
        narrow_affinity(provenance["threads"], provenance["cpu"]["affinity"]),
        throttled(provenance["clocks"]["before"], provenance["clocks"]["after"]),
    ]
    if provenance.get("sessions"):
        guards.append(mixed_machines(provenance, provenance["sessions"]))
    if provenance.get("preflight"):
        guards.append(misread_head(provenance["preflight"]))
    own_positions = (provenance.get("drafter") or {}).get("positions")
    if own_positions is not None:
        guards.append(beyond_head(rows, own_positions))
    if summary.get("engine_gap"):
        guards.append(other_counts(summary["engine_gap"]))
    for arm, figures in summary["arms"].items():
        own = [row for row in rows if row.arm == arm]
        guards += [
            loops(arm, own),
            eos_share(arm, figures["eos_share"], figures["mean_new_tokens"]),
            drifting(arm, figures["drift"]),
        ]
    costs = summary.get("costs") or {}
    speedup = summary["speedup"]["decode"]["pooled"]
    if costs.get("method") is not None and speedup is not None and summary["batch_size"] == 1:
        known = costs["measured"]
        step_s = known["step_s"] * speedup / known["speedup"]
        guards += [
            far_from_roofline(step_s, costs["step_floor_s"]),
            slow_baseline(step_s, costs["step_s"]),
        ]
        if provenance["device"].startswith("cuda"):
            guards.append(host_bound(step_s, costs["step_floor_s"]))
    return guards


def unique_bigram_share(tokens: Sequence[int]) -> float:
    """Distinct neighbouring pairs over all pairs of the last 100 tokens (at least two)."""
    tail = tokens[-LOOP_WINDOW:]
    pairs = list(pairwise(tail))
    return len(set(pairs)) / len(pairs)


def loops(arm: str, rows: Sequence[GenerationRow]) -> Guard:
    """Outputs that repeat themselves are easy to draft and say nothing about real text."""
    long_rows = [row for row in rows if len(row.token_ids) >= LOOP_MIN_TOKENS]
    looping = [row for row in long_rows if unique_bigram_share(row.token_ids) < LOOP_UNIQUE_SHARE]
    return Guard(
        f"loops.{arm}",
        len(looping) <= LOOP_GENERATIONS * len(long_rows),
        f"{len(looping)} of {len(long_rows)} generations of {arm} end in a loop (under "
        f"{LOOP_UNIQUE_SHARE:.0%} of the bigrams in their last {LOOP_WINDOW} tokens are unique).",
    )


def unequal_counts(flagged: int, kept: int) -> Guard:
    """Arms that emitted different token counts did different work."""
    return Guard(
        "unequal_counts",
        flagged == 0,
        f"{flagged} pairs have different token counts in the two arms ({kept} pairs carry the "
        "speedup).",
    )


def changed_output(lossless: Mapping[str, Any]) -> Guard:
    """A difference that was not graded as a numerical tie may be a bug."""
    suspect = lossless["bugs"] + lossless["ungraded"]
    return Guard(
        "changed_output",
        suspect == 0,
        f"{suspect} of {lossless['pairs']} outputs differ from the baseline's beyond a tie "
        f"({lossless['bugs']} graded as bugs, {lossless['ungraded']} not graded).",
    )


def eos_share(arm: str, share: float, mean_new_tokens: float) -> Guard:
    """EOS censors long settings: the requested length is then not the length measured."""
    return Guard(
        f"eos_share.{arm}",
        share <= EOS_SHARE,
        f"{share:.0%} of the generations of {arm} stopped at EOS, after {mean_new_tokens:.0f} "
        "tokens on average over all: the figures are for that length, not for gen_len.",
    )


def few_prompts(prompts: int) -> Guard:
    """Intervals over a handful of prompts are too narrow and their figures are anecdotes."""
    return Guard(
        "few_prompts",
        prompts >= FEWEST_CLUSTERS,
        f"{prompts} prompts were measured; at least {FEWEST_CLUSTERS} are needed for an interval.",
    )


def interval_crosses_one(low: float | None, high: float | None) -> Guard:
    """The data cannot tell whether the method is faster or slower."""
    if low is None or high is None:
        return Guard("interval_crosses_one", False, "The speedup has no interval.")
    return Guard(
        "interval_crosses_one",
        not low <= 1.0 <= high,
        f"The interval of the speedup, {low:.3f} to {high:.3f}, is to be read against 1.0.",
    )


def far_from_roofline(step_s: float, floor_s: float) -> Guard:
    """A baseline far above what memory bandwidth allows flatters every method."""
    return Guard(
        "far_from_roofline",
        step_s <= FLOOR_FACTOR * floor_s,
        f"A baseline step takes {step_s * 1e3:.3f} ms, {step_s / floor_s:.1f} times the "
        f"{floor_s * 1e3:.3f} ms that its memory traffic needs.",
    )


def host_bound(step_s: float, floor_s: float) -> Guard:
    """On a GPU, a step far above its bandwidth floor waits for the host to launch its kernels.

    A method with fewer steps then gains from what a stronger baseline would not lose.
    """
    return Guard(
        "host_bound",
        step_s <= HOST_FACTOR * floor_s,
        f"On the GPU a baseline step takes {step_s / floor_s:.2f} times the {floor_s * 1e3:.3f} ms "
        "that its memory traffic needs: it waits for its host, and a speedup over it flatters.",
    )


def slow_baseline(step_s: float, reference_s: float) -> Guard:
    """The baseline must run at the speed of the target measured by itself.

    `step_s` is the baseline's step in the timed run as it would have been in the minutes of
    `reference_s`: the method ran beside both, and tells how the machine's speed has drifted.
    """
    return Guard(
        "slow_baseline",
        step_s <= STEP_FACTOR * reference_s,
        f"A baseline step takes {step_s * 1e3:.3f} ms, {step_s / reference_s:.2f} times the "
        f"{reference_s * 1e3:.3f} ms of the target's step measured by itself.",
    )


def misread_head(preflight: Mapping[str, Any]) -> Guard:
    """The head is read as it was trained, as far as its pre-flight can tell."""
    sound = preflight["verdict"] in ("fits", "adopted", "not asked")
    return Guard("preflight", sound, f"{preflight['sentence']}")


def beyond_head(rows: Sequence[GenerationRow], positions: int) -> Guard:
    """A head beyond the context that it was made for drafts worse the further it goes."""
    table = round_table(rows)  # The baseline's rows have no rounds.
    beyond = table["context_len"] > positions
    if not beyond.any():
        return Guard("beyond_head", True, f"Every context is within the head's {positions}.")
    there, within = (
        f"tau {1 + some['accepted'].mean():.2f}" if len(some) else "no round"
        for some in (table[beyond], table[~beyond])
    )
    return Guard(
        "beyond_head",
        False,
        f"{beyond.sum()} of {len(table)} rounds ran in a context beyond the head's own {positions} "
        f"positions: {there} there, {within} before.",
    )


def other_counts(gap: Mapping[str, Any]) -> Guard:
    """In float32 a faithful engine counts what our loop counts, on every prompt."""
    sound = gap["equal_prompts"] == gap["prompts"] or gap["by_rounding"]
    return Guard("engine_gap", sound, gap["sentence"])
