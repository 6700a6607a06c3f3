"""Comparison of outputs, and planted faults of each grade."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.figures.lossless import compare, first_difference, grade, grade_divergences

tokens = st.lists(st.integers(0, 3), max_size=12)


@given(tokens, tokens)
def test_first_difference_is_the_length_of_the_common_prefix(left, right):
    index = first_difference(left, right)
    if index is None:
        assert left == right
    else:
        assert left[:index] == right[:index]
        assert left[index : index + 1] != right[index : index + 1]


def test_equal_outputs_are_exact(baseline, chain):
    report = compare([baseline("a", 9), chain("a", [4, 2]), baseline("b", 9)])
    assert report.exact_share == 1.0
    assert report.as_dict()["pairs"] == 1


def test_differences_are_reported_by_pair_with_the_earliest_index(baseline, chain):
    rows = [
        baseline("a", 9, repeat=0),
        baseline("a", 9, repeat=1),
        chain("a", [4, 2], repeat=0, token_ids=[0, 1, 2, 3, 4, 5, 6, 7, 99]),
        chain("a", [4, 2], repeat=1, token_ids=[0, 1, 99, 3, 4, 5, 6, 7, 8]),
        baseline("b", 9),
        chain("b", [4, 2]),
    ]
    report = compare(rows)
    assert report.exact_share == 0.5
    (pair,) = report.differing
    assert (pair.prompt_id, pair.repeat, pair.first_difference) == ("a", 1, 2)
    assert not pair.prefix


def test_grades_of_planted_faults(baseline, chain):
    rows = []
    for name, ids in {
        "tie": [0, 1, 99, 3, 4, 5, 6, 7, 8],
        "bug": [0, 1, 99, 3, 4, 5, 6, 7, 8],
        "second_bug": [0, 1, 99, 3, 4, 5, 6, 7, 8],
        "unlikely": [0, 98, 2, 3, 4, 5, 6, 7, 8],
        "short": [0, 1, 2, 3],
        "unseen": [7, 1, 2, 3, 4, 5, 6, 7, 8],
        "same": list(range(9)),
    }.items():
        rows += [baseline(name, 9), chain(name, [4, 2], token_ids=ids)]
    report = compare(rows)
    gaps = {
        "tie": [0.01, 0.04],
        "bug": [0.4],
        "second_bug": [0.01, 0.4],
        "unlikely": [math.inf],
        "short": [],
    }
    graded = grade_divergences(
        report,
        {pair: gaps[pair.prompt_id] for pair in report.differing if pair.prompt_id in gaps},
        tie_gap=0.05,
    )
    grades = {pair.prompt_id: pair.grade for pair in graded.pairs}
    assert grades == {
        "tie": "tie",
        "bug": "bug",
        "second_bug": "bug",
        "unlikely": "bug",
        "short": "bug",
        "unseen": None,
        "same": None,
    }
    summary = graded.as_dict()
    assert (summary["ties"], summary["bugs"], summary["ungraded"]) == (1, 4, 1)


def test_a_gap_of_exactly_the_tolerance_is_a_tie():
    assert grade(0.05, 0.05) == "tie"
    assert grade(0.0500001, 0.05) == "bug"
