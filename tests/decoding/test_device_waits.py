"""How often a round waits for the device: once, but for what says otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tiny_world import BRANCHING, COPYING, GREEDY, drafter, method, prompt_of, target
from torch.overrides import TorchFunctionMode

from eagle_bench.config.values import Proposal
from eagle_bench.decoding.loop import Decoder
from eagle_bench.models.sampling import Sampling
from eagle_bench.records.generation import Generation, Request

READS = (
    *("item", "tolist", "cpu", "numpy", "nonzero"),
    *("__bool__", "__int__", "__float__", "__index__"),
)
ROUNDS = 8


class Waits(TorchFunctionMode):
    """Counts what makes the host wait for a GPU: values read, and lists sent by `torch.tensor`
    or as an index."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        sent = name == "tensor" and (kwargs or {}).get("device") is not None
        indexed = name in ("__getitem__", "__setitem__") and _has_list(args[1])
        if name in READS or sent or indexed:
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))


def _has_list(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, list) for part in parts)


def waits(decoder: Decoder, batch: int) -> tuple[Counter[str], Generation]:
    """What was waited for after the prefills, and the first generation."""
    requests = [Request(str(row), prompt_of(row, 5 + row), 4 * ROUNDS) for row in range(batch)]
    counting = Waits()
    whole = decoder._round

    def watched() -> None:
        with counting:
            whole()

    decoder._round = watched  # type: ignore[method-assign]
    generations = list(decoder.generate(requests, batch))
    return counting.seen, max(generations, key=lambda each: len(each.rounds))


def all_rounds(generation: Generation) -> int:
    return len(generation.rounds)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("by", "shape"),
    [(by, shape) for by in BRANCHING for shape in ("chain4", "tree", "static_tree")]
    + [(by, "chain4") for by in COPYING],
)
def test_a_greedy_round_waits_once(by: str, shape: str, batch: int) -> None:
    seen, longest = waits(Decoder(target(), drafter(by), method(shape), GREEDY), batch)
    assert seen == {"tolist": all_rounds(longest)}


def test_adaptive_waits_once_more_for_every_level_it_weighs() -> None:
    seen, longest = waits(Decoder(target(), drafter("fitted"), method("confidence"), GREEDY), 1)
    weighed = sum(min(each.depth, 4) for each in longest.rounds)
    assert seen == {"tolist": all_rounds(longest), "__float__": weighed}


def test_sampling_waits_for_every_token_it_draws() -> None:
    sampling = Sampling(1.0)
    decoder = Decoder(target(), drafter("fitted"), method("chain4", sampling), sampling)
    seen, longest = waits(decoder, 1)
    tokens = sum(each.accepted + 1 for each in longest.rounds)
    drawn = {"__float__": tokens, "__int__": 2 * tokens, "nonzero": tokens}
    assert seen == {"tolist": all_rounds(longest)} | drawn


def test_draws_of_the_drafter_are_waited_for_too() -> None:
    sampling = Sampling(1.0)
    shape = method("chain4", sampling, Proposal.sample)
    seen, longest = waits(Decoder(target(), drafter("fitted"), shape, sampling), 1)
    assert seen["nonzero"] >= sum(each.depth for each in longest.rounds)
