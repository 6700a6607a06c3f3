"""`Sampling.distribution`, `draw` and streams against slow oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eagle_bench.drafters.pick import Best, Drawn
from eagle_bench.models.sampling import Sampling, draw


def slow_distribution(logits: list[float], sampling: Sampling) -> list[float]:
    """Temperature, then top-k, then the smallest set of best tokens with mass of top_p."""
    scaled = [x / sampling.temperature for x in logits]
    ranked = sorted(range(len(logits)), key=lambda i: -scaled[i])
    if sampling.top_k:
        ranked = ranked[: sampling.top_k]
    top = max(scaled)
    weights = {i: math.exp(scaled[i] - top) for i in ranked}
    kept, mass, whole = [], 0.0, sum(weights.values())
    for i in ranked:
        if mass / whole >= sampling.top_p:
            break
        kept.append(i)
        mass += weights[i]
    return [weights[i] / mass if i in kept else 0.0 for i in range(len(logits))]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    numbers=st.lists(st.integers(-60, 60), min_size=1, max_size=9, unique=True),
    temperature=st.sampled_from([0.3, 1.0, 1.7]),
    top_p=st.sampled_from([0.05, 0.313, 0.777, 0.95, 1.0]),
    top_k=st.integers(0, 10),
)
def test_distribution(numbers: list[int], temperature: float, top_p: float, top_k: int) -> None:
    logits = [number / 17 for number in numbers]
    sampling = Sampling(temperature, top_p, top_k)
    actual = sampling.distribution(torch.tensor([logits, logits], dtype=torch.float64))
    expected = torch.tensor(slow_distribution(logits, sampling), dtype=torch.float64)
    assert actual.dtype == torch.float64
    torch.testing.assert_close(actual[1], expected, rtol=1e-9, atol=1e-12)


def test_draw_follows_the_probabilities_and_avoids_zeros() -> None:
    p = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3, 0.0], dtype=torch.float64)
    stream = np.random.default_rng(0)
    counts = np.bincount([draw(p, stream) for _ in range(6000)], minlength=6)
    assert counts[[0, 2, 5]].sum() == 0
    assert stats.chisquare(counts[[1, 3, 4]], 6000 * p[[1, 3, 4]].numpy()).pvalue > 1e-3


def test_streams_belong_to_seed_and_key() -> None:
    def numbers(seed: int, key: str) -> list[float]:
        return Sampling(1.0, seed=seed).stream(key).random(4).tolist()

    assert numbers(0, "a") == numbers(0, "a")
    assert numbers(0, "a") != numbers(0, "b")
    assert numbers(0, "a") != numbers(1, "a")


def test_best_are_the_most_probable_in_order() -> None:
    logits = torch.tensor([[[0.0, 3.0, 1.0, 2.0]]])
    picked = Best(3)(logits)
    assert picked.ids.tolist() == [[[1, 3, 2]]]
    torch.testing.assert_close(picked.log_probs, logits.log_softmax(-1)[..., [1, 3, 2]])
    assert picked.q is None


def test_drawn_come_from_q_by_row() -> None:
    sampling = Sampling(0.8, seed=4)
    logits = torch.tensor([[[0.0, 1.0, -1.0, 0.5]], [[2.0, 0.0, 0.0, 0.0]]])
    both = Drawn(2, sampling, [sampling.stream("a"), sampling.stream("b")])(logits)
    alone = Drawn(2, sampling, [sampling.stream("b")])(logits[1:])
    assert both.ids[1].tolist() == alone.ids[0].tolist()
    q = sampling.distribution(logits)
    torch.testing.assert_close(both.q, q)
    torch.testing.assert_close(both.log_probs, q.gather(-1, both.ids).log())
    pick = Drawn(3000, sampling, [sampling.stream("c")])
    counts = np.bincount(pick(logits[:1]).ids.flatten().numpy(), minlength=4)
    assert stats.chisquare(counts, 3000 * q[0, 0].numpy()).pvalue > 1e-3


@pytest.mark.parametrize("temperature", [0.0, 1e-9])
def test_only_zero_is_greedy(temperature: float) -> None:
    assert Sampling(temperature).greedy == (temperature == 0.0)
