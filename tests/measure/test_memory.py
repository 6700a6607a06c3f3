"""What the parts of a run hold, against tensors that are really allocated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig, TreeConfig
from eagle_bench.config.drafter import DrafterConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.decoding.build import build_speculative
from eagle_bench.measure.memory import memory_parts
from eagle_bench.records.generation import Request
from tests.decoding import tiny_world as tiny

GEN_LEN = 12
TREE = TreeConfig("tree", depth=3, top_k=2, num_draft_tokens=5)


def config(**changes: Any) -> RunConfig:
    run = RunConfig(
        model=ModelConfig("tiny"),
        drafter=DrafterConfig("tiny"),
        dataset=DatasetConfig("tiny"),
        decoding=ChainConfig("chain", draft_len=4),
        tracker=TrackerConfig("none"),
        gen_len=GEN_LEN,
    )
    return replace(run, **changes)


@pytest.mark.parametrize("decoding", [ChainConfig("chain", draft_len=4), TREE])
@pytest.mark.parametrize("name", ["eagle3", "draft_model"])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_caches_are_as_large_as_those_of_a_run(
    baseline: Any, decoding: Any, name: str, batch_size: int
) -> None:
    settings = config(decoding=decoding, batch_size=batch_size)
    drafter = tiny.drafter(name)
    arm: Any = build_speculative(settings, tiny.target(), drafter)
    requests = [Request(str(n), tiny.prompt_of(n, 6 + n), GEN_LEN) for n in range(2)]
    list(arm.generate(requests, batch_size))
    held = arm.cache.nbytes, drafter.cache.nbytes
    rows = [baseline(r.key, GEN_LEN, prompt_tokens=len(r.tokens)) for r in requests]
    found = memory_parts(settings, tiny.target(), drafter, arm, rows)
    assert (found["target_cache_bytes"], found["drafter_cache_bytes"]) == held


def test_weights_drafts_and_peaks(baseline: Any, chain: Any) -> None:
    rows = [baseline("a", GEN_LEN, prompt_tokens=10), chain("a", [4, 4], peak_bytes=7)]
    head = tiny.random_head()
    drafter = tiny.drafter("eagle3")
    tree = build_speculative(config(decoding=TREE), tiny.target(), drafter)
    found = memory_parts(config(decoding=TREE), tiny.target(), drafter, tree, rows)
    own = sum(parameter.numel() * 4 for parameter in head.parameters())
    vocabulary = tiny.DRAFT_VOCAB * 8 + tiny.VOCAB
    assert found["drafter_weight_bytes"] == own + vocabulary
    assert found["target_weight_bytes"] == tiny.target().spec.weight_bytes
    nodes, extended = 5, 6
    assert found["draft_bytes"] == (
        nodes * found["target_bytes_per_token"]
        + extended * found["drafter_bytes_per_token"]
        + (nodes + 1) * (10 + GEN_LEN + nodes + 1)
    )
    assert found["peak_bytes"] == {"baseline": 1000, "chain": 7}
    nothing = memory_parts(config(), tiny.target(), tiny.drafter("random"), tree, rows)
    assert nothing["drafter_weight_bytes"] == nothing["drafter_cache_bytes"] == 0
