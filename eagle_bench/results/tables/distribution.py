"""A distribution test in the terminal."""

from __future__ import annotations

from eagle_bench.figures.goodness import DistributionResult
from eagle_bench.results.tables.table import Row, Table

COLUMNS = (
    "Arm",
    "Prompt",
    "Outputs",
    "Cells",
    "Impossible",
    "chi²",
    "Freedom",
    "p",
    "Variation",
    "Expected",
)
ALL = "all"


def distribution_table(result: DistributionResult) -> Table:
    """One row per arm and prompt, and one per arm for all its prompts."""
    rows = []
    for check in result.arms:
        for prompt_id, fit in check.fits.items():
            cells = (
                check.arm,
                prompt_id,
                str(fit.outputs),
                str(fit.cells),
                str(fit.impossible),
                f"{fit.chi_squared:.1f}",
                str(fit.freedom),
                f"{fit.p_value:.3g}",
                f"{fit.variation:.4f}",
                f"{fit.variation_expected:.4f}",
            )
            rows.append(Row(cells))
        blank = ("",) * 5
        together = (check.arm, ALL, *blank, f"{check.p_value:.3g}", "", "")
        rows.append(Row(together, failed=not check.consistent))
    title = (
        f"First {result.config['tokens']} tokens, {result.config['draws']} draws for each prompt"
    )
    return Table(title, COLUMNS, tuple(rows), 2)
