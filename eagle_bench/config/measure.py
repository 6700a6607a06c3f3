"""The group `measure`."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_bench.config.values import at_least, check_resamples, within
from eagle_bench.errors import UserError


@dataclass
class MeasureConfig:
    """How warm-up, intervals and the grading of differences are done.

    With `preflight` every run first asks its EAGLE head whether it is read as it was trained.
    `phases` adds an instrumented pass that says where the time goes, `profile` a trace, `costs`
    the cost model with its prediction, `fp32_control` the same prompts once more in float32.
    A pair that others' work disturbed is measured again, `remeasure` times at most.
    `repeats=auto` ends when the speedup's interval is narrower than `target_ci` (half-width over
    the speedup), or after `max_repeats` or `budget_s` seconds. `tie_gap` is the largest gap between
    the target's two best logits that rounding can close; null goes by the dtype.
    """

    preflight: bool = True
    phases: bool = False
    profile: bool = False
    costs: bool = False
    fp32_control: bool = False
    target_ci: float = 0.03
    max_repeats: int = 20
    budget_s: float = 600.0
    warmup_max: int = 4
    bootstrap_resamples: int = 2000
    confidence: float = 0.95
    tie_gap: float | None = None
    remeasure: int = 2

    def __post_init__(self) -> None:
        at_least("measure.warmup_max", self.warmup_max, 1)
        check_resamples("measure.bootstrap_resamples", self.bootstrap_resamples)
        at_least("measure.max_repeats", self.max_repeats, 2)
        within("measure.target_ci", self.target_ci, "[0.0001, 1)")
        at_least("measure.remeasure", self.remeasure, 0)
        if not self.budget_s > 0.0:
            raise UserError(f"measure.budget_s={self.budget_s} must be greater than 0.")
        within("measure.confidence", self.confidence, "[0.5, 1)")
