"""What others' work did to a run: how many pairs, how many seconds, and who."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from eagle_bench.figures.machine_guards import Guard
from eagle_bench.figures.stalls import OWN
from eagle_bench.records.rows import GenerationRow


def disturbance(rows: Sequence[GenerationRow]) -> dict[str, Any]:
    """The `disturbance` part of a summary.

    Returns
    -------
    dict
        `pairs` of `of` (prompt, turn and repeat) with a disturbed generation; `lost_s`, the
        seconds that these lost, by culprit; `own_s`, by arm, the seconds of stalls that were the
        arm's own work.
    """
    lost_s: dict[str, float] = defaultdict(float)
    own_s: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.disturbed:
            lost_s[str(row.culprit)] += row.lost_s
        elif row.culprit == OWN:
            own_s[row.arm] += row.stalled_s or 0.0
    return {
        "pairs": len({_pair(row) for row in rows if row.disturbed}),
        "of": len({_pair(row) for row in rows}),
        "lost_s": dict(lost_s),
        "own_s": dict(own_s),
    }


def disturbed(found: Mapping[str, Any]) -> Guard:
    """Others' work that measuring again could not avoid is in the figures."""
    lost_s = found["lost_s"]
    culprits = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in lost_s.items())
    return Guard(
        "disturbed",
        found["pairs"] == 0,
        f"{found['pairs']} of {found['of']} pairs lost time to others in every take ({culprits}); "
        "the speedup's interval also covers what it would be without these seconds."
        if found["pairs"]
        else f"None of {found['of']} pairs was disturbed.",
    )


def _pair(row: GenerationRow) -> tuple[str, int, int]:
    return row.prompt_id, row.turn, row.repeat
