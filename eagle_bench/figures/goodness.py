"""Do counts of outputs fit their exact probabilities? Chi-squared and total variation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from eagle_bench.figures.statistics import Floats

Output = tuple[int, ...]
SCHEMA_VERSION = 1
"""Of `distribution.json`."""

LEAST_EXPECTED = 5.0
"""Draws that a cell must expect for the chi-squared distribution to hold (Cochran 1954)."""


@dataclass(frozen=True)
class Fit:
    """One set of draws against the exact distribution.

    Attributes
    ----------
    outputs, cells : int
        Possible outputs, and what was left after those that expect few draws were pooled.
    impossible : int
        Draws of outputs that have no probability at all: any is a contradiction.
    chi_squared, freedom, p_value : float, int, float
        Pearson's test. No freedom: the exact distribution leaves nothing to chance.
    variation, variation_expected : float
        Total variation between the draws and the exact distribution (0: equal, 1: disjoint),
        and what draws from that very distribution would show on average.
    """

    draws: int
    outputs: int
    cells: int
    impossible: int
    chi_squared: float
    freedom: int
    p_value: float
    variation: float
    variation_expected: float


def fit(counts: Mapping[Output, int], exact: Mapping[Output, float]) -> Fit:
    """Test `counts` of outputs against probabilities that add up to 1."""
    draws = sum(counts.values())
    shares = np.array(list(exact.values()))
    seen = np.array([counts.get(output, 0) for output in exact], dtype=np.float64)
    impossible = draws - int(seen.sum())
    observed, expected = _pooled(seen, draws * shares)
    chi_squared = float(((observed - expected) ** 2 / expected).sum())
    degrees = len(expected) - 1
    return Fit(
        draws=draws,
        outputs=len(exact),
        cells=len(expected),
        impossible=impossible,
        chi_squared=chi_squared,
        freedom=degrees,
        p_value=0.0 if impossible else _tail(chi_squared, degrees),
        variation=float((np.abs(seen / draws - shares).sum() + impossible / draws) / 2),
        variation_expected=float(_deviation(draws, shares).sum() / (2 * draws)),
    )


def freedom(draws: int, exact: Mapping[Output, float]) -> int:
    """Degrees of freedom that so many draws would have: 0 when they can show one output only."""
    due = draws * np.array(list(exact.values()))
    return len(_pooled(due, due)[1]) - 1


def combined(fits: Sequence[Fit]) -> float:
    """One p-value of independent tests (Fisher's method); 1.0 when none leaves a chance."""
    if any(each.impossible for each in fits):
        return 0.0
    values = [each.p_value for each in fits if each.freedom]
    if not values:
        return 1.0
    with np.errstate(divide="ignore"):
        return float(stats.combine_pvalues(values, method="fisher").pvalue)


def _pooled(seen: Floats, due: Floats) -> tuple[Floats, Floats]:
    """Cells that expect at least `LEAST_EXPECTED` draws: the rarest outputs share one."""
    order = np.argsort(due)
    seen, due = seen[order], due[order]
    rare = int((due < LEAST_EXPECTED).sum())
    while 0 < rare < len(due) and due[:rare].sum() < LEAST_EXPECTED:
        rare += 1
    if rare < 2:
        return seen, due
    return (
        np.append(seen[rare:], seen[:rare].sum()),
        np.append(due[rare:], due[:rare].sum()),
    )


def _tail(chi_squared: float, degrees: int) -> float:
    return float(stats.chi2.sf(chi_squared, degrees)) if degrees else 1.0


def _deviation(draws: int, shares: Floats) -> Floats:
    """Mean absolute deviation of binomial counts (de Moivre): `E|X - n p|` for each share."""
    above = np.floor(draws * shares) + 1
    return np.asarray(2 * above * (1 - shares) * stats.binom.pmf(above, draws, shares))


@dataclass(frozen=True)
class ArmCheck:
    """One arm over all prompts.

    Attributes
    ----------
    fits : dict[str, Fit]
        By prompt.
    p_value : float
        Of all prompts together: how often a lossless arm would fit this badly.
    consistent : bool
        Whether `p_value` is at least the level.
    """

    arm: str
    fits: dict[str, Fit]
    p_value: float
    consistent: bool


@dataclass(frozen=True)
class DistributionResult:
    """Both arms, the speculative one first."""

    config: dict[str, Any]
    speculative: ArmCheck
    baseline: ArmCheck
    provenance: dict[str, Any]

    @property
    def arms(self) -> tuple[ArmCheck, ArmCheck]:
        return self.speculative, self.baseline

    @property
    def consistent(self) -> bool:
        return self.speculative.consistent and self.baseline.consistent

    def verdict(self) -> str:
        """The finding in a sentence."""
        level = self.config["level"]
        if not self.baseline.consistent:
            return (
                "the baseline itself does not fit the distribution that whole passes of the "
                f"target give (p = {self.baseline.p_value:.2g}, level {level}): its cached steps "
                f"compute something else, and nothing is said of {self.speculative.arm}."
            )
        arm, p = self.speculative.arm, self.speculative.p_value
        fits = self.speculative.fits.values()
        over = f"p = {p:.2g} over {sum(each.freedom > 0 for each in fits)} prompts, level {level}"
        if self.speculative.consistent:
            return f"{arm} emits what the target's distribution says ({over})."
        return f"{arm} does not emit what the target's distribution says ({over})."

    def plain(self) -> dict[str, Any]:
        """As plain JSON types: what `distribution.json` holds."""
        verdict = {"consistent": self.consistent, "verdict": self.verdict()}
        return {"schema_version": SCHEMA_VERSION} | verdict | asdict(self)
