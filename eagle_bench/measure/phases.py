"""Where the time goes: a second, instrumented pass over the prompts, never the timed one.

Marks take time, and on a GPU each round waits once for its last one; so the pass is slower than
a timed one, and both totals are kept side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eagle_bench.config.run import RunConfig
from eagle_bench.data.prompt import Prompt
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Session
from eagle_bench.machine.clock import BETWEEN, PhaseClock
from eagle_bench.records.generation import Arm, Generation, Request
from eagle_bench.records.rows import GenerationRow, RoundRow, Trial, round_rows

PROMPTS = 16


@dataclass(frozen=True)
class ArmPhases:
    """One arm's instrumented pass, one prompt at a time.

    Attributes
    ----------
    wall_s, timed_wall_s : float
        Seconds of this pass, and of the timed generations of the same prompts (first repeat).
    phases_s : dict[str, float]
        Seconds by phase.
    remainder_s : float
        What the phases do not account for.
    """

    generations: int
    new_tokens: int
    rounds: int
    wall_s: float
    timed_wall_s: float
    phases_s: dict[str, float]
    remainder_s: float


def breakdown(
    config: RunConfig, session: Session, prompts: Sequence[Prompt], rows: Sequence[GenerationRow]
) -> tuple[dict[str, dict[str, Any]], list[RoundRow]]:
    """The phases of both arms over the first turns of `PROMPTS` prompts.

    Returns
    -------
    dict[str, dict], list[RoundRow]
        `ArmPhases` as plain data by arm; every round with its `phases_s`, in which `host` and
        `emit` are what followed the round before.
    """
    clock = PhaseClock(session.target.spec.device)
    arms: list[Arm] = [build_baseline(config, session.target, clock)]
    if config.decoding.cached:
        drafter = session.drafter.drafter
        arms.append(build_speculative(config, session.target, drafter, clock))
    chosen = prompts[:PROMPTS]
    timed = {(row.prompt_id, row.arm): row.wall_s for row in rows if row.repeat == row.turn == 0}
    requests = [Conversation(session, each).request(config.gen_len) for each in chosen]
    figures: dict[str, dict[str, Any]] = {}
    recorded: list[RoundRow] = []
    for arm in arms:
        timed_wall_s = sum(timed[each.id, arm.name] for each in chosen)
        found, generations = _instrumented(arm, requests, clock, timed_wall_s)
        figures[arm.name] = asdict(found)
        for prompt, generation in zip(chosen, generations, strict=True):
            recorded += round_rows(generation, Trial(prompt.id, prompt.category, 0, arm.name, 0))
    return figures, recorded


def _instrumented(
    arm: Arm, requests: list[Request], clock: PhaseClock, timed_wall_s: float
) -> tuple[ArmPhases, list[Generation]]:
    seconds: Counter[str] = Counter()
    generations: list[Generation] = []
    for request in requests:
        clock.restart()
        generations += arm.generate([request])
        seconds.update(clock.total())
    del seconds[BETWEEN]
    wall_s = sum(each.wall_s for each in generations)
    found = ArmPhases(
        generations=len(generations),
        new_tokens=sum(len(each.tokens) for each in generations),
        rounds=sum(len(each.rounds) for each in generations),
        wall_s=wall_s,
        timed_wall_s=timed_wall_s,
        phases_s=dict(seconds),
        remainder_s=wall_s - sum(seconds.values()),
    )
    return found, generations


def in_words(arm: str, phases: dict[str, Any]) -> str:
    """One line for the terminal."""
    shares = ", ".join(
        f"{name} {seconds / phases['wall_s']:.1%}" for name, seconds in phases["phases_s"].items()
    )
    slower = phases["wall_s"] / phases["timed_wall_s"] - 1
    return (
        f"time of {arm}: {shares}, remainder {phases['remainder_s'] / phases['wall_s']:.1%} of "
        f"{phases['wall_s']:.2f} s (instrumented, {slower:+.1%} against the timed pass)"
    )
