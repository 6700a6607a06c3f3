"""Did speculation change the output? Exact shares, first differences, grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from eagle_bench.records.generation import BASELINE
from eagle_bench.records.rows import GenerationRow

Grade = Literal["tie", "bug"]


@dataclass(frozen=True)
class TokenPair:
    """One prompt and turn of a method against the baseline.

    Attributes
    ----------
    repeat : int
        The repeat with the earliest difference, or the first one.
    first_difference : int | None
        Index of the first token that differs, None when every repeat is equal. Where one
        output is a prefix of the other it is the shorter one's length.
    prefix : bool
        One output is a prefix of the other: they stopped at different places.
    grade : "tie" | "bug" | None
        Set by `grade_divergences` for differing pairs.
    """

    arm: str
    prompt_id: str
    turn: int
    repeat: int
    first_difference: int | None
    prefix: bool = False
    grade: Grade | None = None


@dataclass(frozen=True)
class LosslessReport:
    """Every pair that was compared; at temperature 0 all should be equal."""

    pairs: tuple[TokenPair, ...]

    @property
    def differing(self) -> tuple[TokenPair, ...]:
        return tuple(pair for pair in self.pairs if pair.first_difference is not None)

    @property
    def exact_share(self) -> float | None:
        """Share of pairs with equal tokens; None without pairs."""
        if not self.pairs:
            return None
        return 1 - len(self.differing) / len(self.pairs)

    def as_dict(self) -> dict[str, Any]:
        """The `lossless` part of a summary."""
        grades = [pair.grade for pair in self.differing]
        return {
            "exact_share": self.exact_share,
            "pairs": len(self.pairs),
            "ties": grades.count("tie"),
            "bugs": grades.count("bug"),
            "ungraded": grades.count(None),
            "differences": [
                {
                    "arm": pair.arm,
                    "prompt_id": pair.prompt_id,
                    "turn": pair.turn,
                    "repeat": pair.repeat,
                    "first_difference": pair.first_difference,
                    "grade": pair.grade,
                }
                for pair in self.differing
            ],
        }


def first_difference(tokens: Sequence[int], baseline: Sequence[int]) -> int | None:
    """Index of the first token that differs or is missing, None when equal."""
    for index, (token, expected) in enumerate(zip(tokens, baseline, strict=False)):
        if token != expected:
            return index
    return None if len(tokens) == len(baseline) else min(len(tokens), len(baseline))


def compare(rows: Sequence[GenerationRow]) -> LosslessReport:
    """Compare each method's tokens with the baseline's of the same prompt, turn and repeat.

    Repeats of a pair are merged: it is equal when all of them are, and its first difference
    is the earliest. Rows without a partner are left out.
    """
    baselines = {
        (row.prompt_id, row.turn, row.repeat): row.token_ids for row in rows if row.arm == BASELINE
    }
    pairs: dict[tuple[str, str, int], TokenPair] = {}
    for row in rows:
        expected = baselines.get((row.prompt_id, row.turn, row.repeat))
        if row.arm == BASELINE or expected is None:
            continue
        index = first_difference(row.token_ids, expected)
        found = TokenPair(
            arm=row.arm,
            prompt_id=row.prompt_id,
            turn=row.turn,
            repeat=row.repeat,
            first_difference=index,
            prefix=index == min(len(row.token_ids), len(expected)),
        )
        known = pairs.setdefault((row.arm, row.prompt_id, row.turn), found)
        if index is not None and (known.first_difference is None or index < known.first_difference):
            pairs[row.arm, row.prompt_id, row.turn] = found
    return LosslessReport(tuple(pairs.values()))


def grade(top2_gap: float, tie_gap: float) -> Grade:
    """`tie` where the target's two best logits are at most `tie_gap` apart, else `bug`."""
    return "tie" if top2_gap <= tie_gap else "bug"


def grade_divergences(
    report: LosslessReport, gaps: Mapping[TokenPair, Sequence[float]], *, tie_gap: float
) -> LosslessReport:
    """Grade the differing pairs from a teacher-forced pass over the speculative output.

    Parameters
    ----------
    report : LosslessReport
    gaps : mapping
        For a differing pair, the target's top-2 logit gap at every index where the emitted
        token is not the target's best. Where the emitted token is not even second best, give
        infinity: no rounding explains it. Empty when the target agrees with every token.
    tie_gap : float
        Largest gap (logits) that the run's dtype can close by rounding.

    Returns
    -------
    LosslessReport
        A pair is a bug when any of its gaps is, or when the outputs merely stop at different
        places, which no rounding explains. Pairs missing in `gaps` stay ungraded.
    """

    def graded(pair: TokenPair) -> TokenPair:
        if pair not in gaps:
            return pair
        bug = pair.prefix or any(grade(gap, tie_gap) == "bug" for gap in gaps[pair])
        return replace(pair, grade="bug" if bug else "tie")

    return LosslessReport(tuple(graded(pair) for pair in report.pairs))
