"""What the loop may expect of every drafter in `tiny_world.DRAFTERS`; a new one joins by a row.

That it keeps the output lossless, and its cache fresh, is asked over the same table in
`test_greedy_lossless.py`, `test_sampling_lossless.py` and `test_fresh_cache.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
import tiny_world as world
import torch
from tiny_models import CPU, VOCAB

from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.pick import Best

CAPACITY = 32
PROMPTS = [world.prompt_of(seed, 9) for seed in (3, 4, 6)]
every = pytest.mark.parametrize("name", world.DRAFTERS)
settled = pytest.mark.parametrize("name", world.SETTLED)


def started(name: str, prompts: list[list[int]]) -> Any:
    """A drafter with its rows prefilled; the target said each row's next token."""
    drafter = world.DRAFTERS[name].make()
    drafter.start(len(prompts), CAPACITY)
    for row, prompt in enumerate(prompts):
        key = str(PROMPTS.index(prompt[:9]))
        drafter.record(key, world.baseline(prompt, 12))
        [first] = world.baseline(prompt, 1)
        features = world.features_of(prompt) if drafter.needs_features else None
        with torch.inference_mode():
            drafter.prefill(row, prompt, first, features, key)
    return drafter


@torch.inference_mode()
def drafted(drafter: Any, rows: int, levels: int = 2) -> list[Proposals]:
    """A chain of `levels`, the best child each time."""
    assert drafter.reach() >= 0
    made = [drafter.first(Best(1))]
    for level in range(1, levels):
        visible = torch.ones(rows, 1, level, dtype=torch.bool)
        parents = torch.zeros(rows, 1, dtype=torch.int64)
        made.append(drafter.extend(made[-1].tokens[:, :, 0], parents, visible, Best(1)))
    return made


def same(left: list[Proposals], right: list[Proposals]) -> None:
    for mine, other in zip(left, right, strict=True):
        assert torch.equal(mine.tokens, other.tokens)
        torch.testing.assert_close(mine.log_probs, other.log_probs, rtol=1e-3, atol=1e-3)


@every
def test_proposals_have_their_shapes_and_are_tokens_of_the_target(name: str) -> None:
    drafter = started(name, PROMPTS)
    k = 3 if world.DRAFTERS[name].branches else 1
    with torch.inference_mode():
        drafter.reach()
        proposals = drafter.first(Best(k))
    assert proposals.tokens.shape == proposals.log_probs.shape == (3, 1, k)
    assert proposals.tokens.dtype == torch.int64
    assert proposals.tokens.max() < VOCAB
    assert proposals.q is None
    assert (proposals.log_probs <= 0).all()
    assert (proposals.log_probs.diff(dim=-1) <= 0).all()


@settled
def test_a_row_drafts_in_a_batch_what_it_drafts_alone(name: str) -> None:
    together = drafted(started(name, PROMPTS), 3)
    for row, prompt in enumerate(PROMPTS):
        alone = drafted(started(name, [prompt]), 1)
        same(alone, [Proposals(p.tokens[row, None], p.log_probs[row, None]) for p in together])


@settled
def test_what_was_committed_is_drafted_from(name: str) -> None:
    """After a round it drafts what one would draft whose prompt were that long."""
    [prompt] = PROMPTS[:1]
    first, *emitted = world.baseline(prompt, 4)
    path, said = [0, 1, 2], [*prompt, first, *emitted]
    drafter = started(name, [prompt])
    drafted(drafter, 1)
    features = world.features_of(said[:-1])[:, len(prompt) :] if drafter.needs_features else None
    with torch.inference_mode():
        drafter.commit([path], [emitted], features)
    same(drafted(drafter, 1), drafted(started(name, [said[:-1]]), 1))


@settled
def test_a_moved_row_goes_on_where_it_was(name: str) -> None:
    drafter = started(name, PROMPTS)
    drafter.move_row(2, 0)
    drafter.resize(1)
    same(drafted(drafter, 1), drafted(started(name, PROMPTS[2:]), 1))


@every
def test_it_tells_its_size_and_its_calls(name: str) -> None:
    drafter = world.DRAFTERS[name].make()
    assert drafter.name
    assert drafter.weight_bytes >= 0
    assert drafter.calls == drafter.cache_bytes() == 0
    drafter = started(name, PROMPTS)
    calls = drafter.calls
    drafted(drafter, 3)
    works = drafter.weight_bytes > 0
    levels = 1 if world.DRAFTERS[name].parallel else 2
    assert drafter.calls - calls == (levels if works else 0)
    assert (drafter.cache_bytes() > 0) == works
    assert drafter.device == CPU
