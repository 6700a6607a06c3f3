"""Prompt lookup against a naive search, and the draft model's padded vocabulary."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_bench.drafters.draft_model import DraftModelDrafter
from eagle_bench.drafters.pick import Best, Drawn
from eagle_bench.drafters.prompt_lookup import LONGEST_COPY, PromptLookupDrafter
from eagle_bench.models.cache import KVCache
from eagle_bench.models.sampling import Sampling

CPU = torch.device("cpu")


def naive_lookup(context: list[int], max_ngram: int, min_ngram: int) -> list[int]:
    for size in range(max_ngram, min_ngram - 1, -1):
        for start in range(len(context) - size - 1, -1, -1):
            if context[start : start + size] == context[-size:]:
                return context[start + size :][:LONGEST_COPY]
    return []


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    prompt=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    rounds=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), max_size=6),
    low=st.integers(1, 2),
    more=st.integers(0, 2),
)
def test_prompt_lookup(prompt: list[int], rounds: list[list[int]], low: int, more: int) -> None:
    drafter = PromptLookupDrafter(low + more, low, CPU)
    drafter.start(1, 99)
    drafter.prefill(0, prompt, 2, None, "")
    context = [*prompt, 2]
    for tokens in [*rounds, []]:
        expected = naive_lookup(context, low + more, low)
        assert drafter.continuation(0) == expected
        assert drafter.reach() == len(expected)
        drafter.commit([[0]], [tokens], None)
        context += tokens


@pytest.mark.parametrize("own", [5, 8, 11])
def test_drafts_are_over_the_targets_vocabulary(own: int) -> None:
    spec = SimpleNamespace(max_positions=9, device=CPU, weight_bytes=0, vocab_size=own)
    model = SimpleNamespace(spec=spec, state=KVCache)
    drafter = DraftModelDrafter(model, 8)
    states = torch.arange(own, dtype=torch.float32)[None, None]
    assert drafter._propose(states, Best(1)).tokens.tolist() == [[[min(own, 8) - 1]]]
    sampling = Sampling(1.0)
    q = drafter._propose(states, Drawn(1, sampling, [sampling.stream("")])).q
    assert q is not None
    assert q.shape == (1, 1, 8)
    assert float(q[..., own:].sum()) == 0.0
