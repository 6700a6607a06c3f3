"""The small language of `--fail-if`: `figure op number`, on the ratio B/A."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from eagle_bench.errors import UserError

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXPRESSION = re.compile(r"\s*(?P<figure>\w+)\s*(?P<op><=|>=|<|>)\s*(?P<bound>\S+)\s*")


@dataclass(frozen=True)
class Gate:
    """Fails a comparison when `ratio op bound` holds for the figure's ratio B/A."""

    figure: str
    op: str
    bound: float

    def triggers(self, ratio: float | None) -> bool:
        """Tell whether the ratio fails the gate; an undefined ratio always does."""
        return ratio is None or OPERATORS[self.op](ratio, self.bound)

    def __str__(self) -> str:
        return f"{self.figure} {self.op} {self.bound:g}"


def parse_gate(expression: str, figures: Collection[str]) -> Gate:
    """Read `speedup < 0.98`.

    Raises
    ------
    UserError
        It is no such expression, or names none of `figures`.
    """
    match = _EXPRESSION.fullmatch(expression)
    try:
        bound = float(match["bound"]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not math.isfinite(bound):
        raise UserError(
            f'--fail-if "{expression}" must read "FIGURE OP NUMBER" with OP one of '
            f'{" ".join(OPERATORS)}, for example "speedup < 0.98".'
        )
    if match["figure"] not in figures:
        raise UserError(
            f'--fail-if "{expression}" names no figure; the figures are {", ".join(figures)}.'
        )
    return Gate(match["figure"], match["op"], bound)
