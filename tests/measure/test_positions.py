"""Acceptance by draft position, output position and context."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.figures.acceptance import by_bin, positions, round_table

rounds = st.lists(
    st.integers(0, 6).flatmap(lambda depth: st.tuples(st.integers(0, depth), st.just(depth))),
    min_size=1,
    max_size=30,
)


@given(rounds)
def test_marginals_count_only_rounds_that_offered_the_position(pairs):
    accepted = np.array([a for a, _ in pairs])
    depth = np.array([d for _, d in pairs])
    found = positions(accepted, depth)
    deepest = max(d for _, d in pairs)
    for k in range(1, deepest + 1):
        offered = [a for a, d in pairs if d >= k]
        assert found.marginal[k - 1] == pytest.approx(sum(a >= k for a in offered) / len(offered))
    assert found.histogram == [sum(a == n for a, _ in pairs) for n in range(deepest + 1)]


def test_conditional_is_undefined_behind_a_position_that_never_passed():
    found = positions(np.array([1, 0]), np.array([3, 3]))
    assert found.marginal == [0.5, 0.0, 0.0]
    assert found.conditional == [0.5, 0.0, None]


def test_round_table_places_rounds_in_output_and_context(chain):
    table = round_table([chain("a", [4, 0, 2], overshoot=1, prompt_tokens=20)])
    assert table["position"].tolist() == [1, 6, 7]
    assert table["context_len"].tolist() == [21, 26, 27]
    assert table["depth"].tolist() == [4, 4, 4]


def test_last_round_with_less_room_offered_less(chain):
    table = round_table([chain("a", [4, 1, 2], drafted_depth=10, drafted=10)])
    assert table["depth"].tolist() == [4, 4, 2]


def test_bins_along_the_output(chain):
    table = round_table([chain("a", [4, 0, 2, 3]), chain("b", [1])])
    bins = by_bin(table, "position", [0, 5, 10, 20, 30])
    assert bins["first"].tolist() == [0, 5, 10]
    assert bins["last"].tolist() == [4, 9, 19]
    assert bins["rounds"].tolist() == [2, 2, 1]
    assert bins["tau"].tolist() == pytest.approx([1 + 5 / 2, 1 + 2 / 2, 4.0])
    assert bins["acceptance_of_depth"].tolist() == pytest.approx([5 / 8, 2 / 8, 3 / 4])
