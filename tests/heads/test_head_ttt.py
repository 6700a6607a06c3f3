"""Training-time test: step k over all positions at once equals k steps of drafting."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from head_maker import HIDDEN, load_head, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.models.cache import KVCache


class Growing:
    """A cache that keeps gradients: what a trainer passes."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, k: Tensor, v: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        if layer_idx in self.layers:
            old_k, old_v = self.layers[layer_idx]
            k, v = torch.cat((old_k, k), 2), torch.cat((old_v, v), 2)
        self.layers[layer_idx] = k, v
        return k, v

    def advance(self, q: int) -> None:
        pass


def all_at_once(head: EagleHead, embeds: Tensor, features: Tensor, steps: int) -> list[Tensor]:
    """Outputs `[1, T, H]` of steps 0..steps; step k pairs position i with token i + k."""
    tokens = features.shape[1]
    cache, hidden, outs = Growing(), head.fuse(features), []
    causal = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    diagonal = torch.eye(tokens, dtype=torch.bool)
    for step in range(steps + 1):
        mask = torch.cat([causal, *[diagonal] * step], dim=1)[None, None]
        positions = torch.arange(tokens)[None] + step
        hidden = head(embeds[:, step : step + tokens], hidden, positions, mask, cache)
        outs.append(hidden)
    return outs


def one_by_one(head: EagleHead, embeds: Tensor, features: Tensor, at: int, steps: int) -> Tensor:
    """Outputs `[steps + 1, H]` of drafting after position `at`."""
    cache = KVCache(1, 64)
    context = head.fuse(features[:, : at + 1])
    out = head(embeds[:, : at + 1], context, torch.arange(at + 1)[None], None, cache)
    outs = [out[:, -1:]]
    for step in range(1, steps + 1):
        token = embeds[:, at + step : at + step + 1]
        outs.append(head(token, outs[-1], torch.tensor([[at + step]]), None, cache))
    return torch.cat(outs, dim=1)[0]


@pytest.mark.parametrize("mla", [False, True])
@pytest.mark.parametrize("flags", [{}, {"norm_output": True, "norm_before_residual": True}])
def test_ttt_equals_sequential_drafting(mla: bool, flags: dict[str, bool], tmp_path: Path) -> None:
    head = load_head(tiny(mla=mla, **flags).write(tmp_path)).head
    draw = torch.Generator().manual_seed(4)
    embeds = torch.randn(1, 12, HIDDEN, generator=draw)
    features = torch.randn(1, 7, 3 * HIDDEN, generator=draw)
    with torch.no_grad():
        steps = all_at_once(head, embeds, features, 4)
        for at in range(7):
            expected = one_by_one(head, embeds, features, at, 4)
            got = torch.stack([out[0, at] for out in steps])
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("mla", [False, True])
def test_every_parameter_learns_through_ttt(mla: bool, tmp_path: Path) -> None:
    head = load_head(tiny(mla=mla, fc_norm=True).write(tmp_path)).head.train()
    outs = all_at_once(head, torch.randn(1, 9, HIDDEN), torch.randn(1, 6, 3 * HIDDEN), 3)
    sum(head.logits(out).logsumexp(-1).sum() for out in outs).backward()
    without = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.booleans())
def test_feeding_in_pieces_changes_nothing(pieces: list[int], mla: bool) -> None:
    """A context fed in any pieces, with rejected drafts between them, gives the same states."""
    torch.manual_seed(0)
    head = _shared_head(mla)
    total = sum(pieces)
    embeds, hidden = torch.randn(1, total, HIDDEN), torch.randn(1, total, HIDDEN)
    places = torch.arange(total)[None]
    with torch.inference_mode():
        whole = head(embeds, hidden, places)
        cache, start, parts = KVCache(1, 64), 0, []
        for size in pieces:
            now = slice(start, start + size)
            parts.append(head(embeds[:, now], hidden[:, now], places[:, now], None, cache))
            cache.commit_all()
            head(torch.randn(1, 1, HIDDEN), parts[-1][:, -1:], places[:, -1:], None, cache)
            cache.rollback()
            start += size
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-4)


_HEADS: dict[bool, EagleHead] = {}


def _shared_head(mla: bool) -> EagleHead:
    import tempfile

    if mla not in _HEADS:
        with tempfile.TemporaryDirectory() as folder:
            _HEADS[mla] = load_head(tiny(mla=mla).write(Path(folder))).head
    return _HEADS[mla]
