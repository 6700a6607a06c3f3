"""Busy seconds against a brute-force clock that ticks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.figures.busy import shared_s

interval = st.tuples(st.integers(0, 30), st.integers(0, 15))


@given(st.lists(interval, min_size=1, max_size=12))
def test_every_tick_is_divided_among_those_running(intervals):
    start = np.array([first for first, _ in intervals], dtype=float)
    end = start + np.array([length for _, length in intervals])
    expected = np.zeros(len(intervals))
    covered = 0
    for tick in range(50):
        running = [i for i, (first, n) in enumerate(intervals) if first <= tick < first + n]
        covered += bool(running)
        for i in running:
            expected[i] += 1 / len(running)
    shares = shared_s(start, end)
    assert shares == pytest.approx(expected)
    assert shares.sum() == pytest.approx(covered)
