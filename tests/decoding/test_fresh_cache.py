"""After every round the caches hold what a fresh computation over the context would give."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_world as world
import torch
from torch import Tensor

from eagle_bench.decoding.loop import Decoder
from eagle_bench.drafters.dflash import DFlashDrafter
from eagle_bench.models.cache import KVCache
from eagle_bench.records.generation import Request

REQUESTS = [
    Request(str(seed), world.prompt_of(seed, length), gen_len)
    for seed, length, gen_len in ((0, 6, 14), (3, 1, 9), (2, 11, 3), (4, 6, 12), (5, 3, 1))
]


def held(cache: KVCache, row: int, length: int) -> list[Tensor]:
    pairs = cache._storage.layers
    return [t[row, :, :length] for index in sorted(pairs) for t in pairs[index]]


def same(actual: list[Tensor], expected: list[Tensor]) -> None:
    assert len(actual) == len(expected)
    for mine, fresh in zip(actual, expected, strict=True):
        torch.testing.assert_close(mine, fresh, rtol=1e-3, atol=1e-3)


class WatchedDecoder(Decoder):
    """Compares each row's caches with fresh ones after every round."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.checked = 0
        self.drafted_lengths = 0

    def _round(self) -> None:
        super()._round()
        for index, row in enumerate(self.rows):
            said = row.generation.request.tokens + row.generation.tokens
            if not row.generation.stop_reason:
                assert self.cache.lengths[index] == len(said) - 1
                self.check(index, said)

    @torch.inference_mode()
    def check(self, index: int, said: list[int]) -> None:
        length = self.cache.lengths[index]
        _, fresh = world.prefilled(said[:length])
        same(held(self.cache, index, length), held(fresh, 0, length))
        drafted = self.drafter.cache.lengths[index]
        assert self.drafter.cache.pending == 0
        assert self.drafter._tokens[index] == said[len(said) - len(self.drafter._tokens[index]) :]
        if drafted:
            same(held(self.drafter.cache, index, drafted), fresh_draft(self.drafter, said, drafted))
        self.checked += 1
        self.drafted_lengths += drafted


def fresh_draft(drafter: Any, said: list[int], length: int) -> list[Tensor]:
    fresh = KVCache(1, length)
    positions = torch.arange(length)[None]
    if isinstance(drafter, DFlashDrafter):
        drafter.head.remember(world.features_of(said[:length]), positions, fresh)
    elif drafter.needs_features:
        fused = drafter.head.fuse(world.features_of(said[:length]))
        embeds = world.target().embed(torch.tensor([said[1 : length + 1]]))
        drafter.head(embeds, fused, positions, None, fresh)
    else:
        ids = torch.tensor([said[:length]])
        drafter.model.forward(ids, positions, None, fresh, features=False)
    fresh.commit_all()
    return held(fresh, 0, length)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("shape", ["chain4", "tree", "wide", "static_tree", "confidence"])
@pytest.mark.parametrize(
    "name", ["fitted", "fitted_p_eagle", "fitted_dflash", "noisy", "draft_model"]
)
def test_caches_equal_a_fresh_computation(name: str, shape: str, batch_size: int) -> None:
    decoder = WatchedDecoder(world.target(), world.drafter(name), world.method(shape), world.GREEDY)
    generations = world.generate(decoder, REQUESTS, batch_size)
    for request in REQUESTS:
        assert generations[request.key].tokens == world.baseline(request.tokens, request.gen_len)
    assert decoder.checked > 5
    assert decoder.drafted_lengths > 50
