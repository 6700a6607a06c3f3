"""Do counts of outputs fit their exact probabilities? Chi-squared and total variation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from eagle_bench.measure.statistics import Floats

Output = tuple[int, ...]
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
