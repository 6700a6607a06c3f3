"""What is multiplied with weights has strides of its own, so that oneDNN copies no weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_models import VOCAB, generic_target, tiny_model
from torch import Tensor, nn

from eagle_bench.models.cache import KVCache
from eagle_bench.models.strides import with_own_strides


def own(x: Tensor) -> tuple[int, ...]:
    """The strides of a tensor made for this shape."""
    return torch.empty(x.shape).stride()


@pytest.mark.parametrize("rows", [1, 2])
def test_slices(rows: int) -> None:
    whole = torch.randn(rows, 5, 3)
    for part in (whole[:, -1:], whole[:, :2], whole):
        made = with_own_strides(part)
        assert torch.equal(made, part)
        assert made.stride() == own(part)
    assert with_own_strides(whole[:1, :2]).data_ptr() == whole.data_ptr(), "nothing is copied"


def test_a_prefills_last_state() -> None:
    seen: list[tuple[int, ...]] = []

    def look(_: nn.Module, args: tuple[Any, ...]) -> None:
        seen.append(args[0].stride())

    target = generic_target(tiny_model())
    target.lm_head.register_forward_pre_hook(look)
    tokens = torch.arange(6)[None] % VOCAB
    target.forward(tokens, tokens, None, KVCache(1, 6), features=False, last_only=True)
    assert seen == [own(torch.empty(1, 1, 32))]
