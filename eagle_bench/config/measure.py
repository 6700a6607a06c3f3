"""The group `measure`."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_bench.config.values import at_least, check_resamples, within
from eagle_bench.errors import UserError


@dataclass
class MeasureConfig:
    """How warm-up, intervals and the grading of differences are done.

    Attributes
    ----------
    preflight : bool
        First the EAGLE head is asked whether it is read as it was trained.
    phases : bool
        Adds an instrumented pass that says where the time goes.
    profile : bool
        Adds a trace for Perfetto.
    costs : bool
        Adds the cost model with its prediction.
    fp32_control : bool
        The same prompts once more in float32.
    target_ci : float
        repeats=auto ends with an interval this narrow: half its width over the speedup.
    max_repeats : int
        The most that repeats=auto does.
    budget_s : float
        Seconds after which repeats=auto begins no other repeat.
    warmup_max : int
        The most rounds of warm-up; two that agree end it.
    bootstrap_resamples : int
        Of every interval.
    confidence : float
        Of every interval.
    tie_gap : float or None
        The largest gap between the two best logits that rounding can close; null: by the dtype.
    remeasure : int
        The most often that a pair is measured again which others' work disturbed.
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
