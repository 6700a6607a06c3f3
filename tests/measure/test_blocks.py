"""What a benchmark runs, and in which order."""

from __future__ import annotations

from eagle_bench.measure.benchmark import Block


def test_arms_alternate_along_prompts_and_along_repeats() -> None:
    first = [[Block((), repeat, index).baseline_first for index in range(4)] for repeat in (0, 1)]
    assert first == [[True, False, True, False], [False, True, False, True]]
