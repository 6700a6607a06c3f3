"""Features that a head fuses have strides of their own, in every round."""

from __future__ import annotations

import pytest
import torch
from tiny_world import GREEDY, drafter, method, prompt_of, target
from torch import Tensor

from eagle_bench.decoding.loop import Decoder
from eagle_bench.records.generation import Request


@pytest.mark.parametrize("shape", ["chain4", "tree"])
def test_features(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by = drafter("fitted")
    fuse, seen = by.head.fuse, []

    def looked(features: Tensor) -> Tensor:
        seen.append((features.stride(), torch.empty(features.shape).stride()))
        return fuse(features)

    monkeypatch.setattr(by.head, "fuse", looked)
    list(Decoder(target(), by, method(shape), GREEDY).generate([Request("", prompt_of(1, 6), 24)]))
    assert len(seen) > 3
    assert all(strides == own for strides, own in seen)
