"""The seed's algorithm, kept as a reference: two target calls per iteration, no KV cache.

Each iteration runs the target over the whole context for hidden states and the next token,
drafts K tokens, and runs the target over everything again to verify. The same tokens come out
as from the one-pass loop; what the second call and the missing cache cost is the point.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import torch

from eagle_bench.decoding.accept import accept_greedy
from eagle_bench.decoding.clock import synchronizer
from eagle_bench.decoding.draft import Draft, no_draft
from eagle_bench.decoding.generation import Generation, Request, Round
from eagle_bench.decoding.methods.grow import grow
from eagle_bench.decoding.pick import Best
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.models.cache import KVCache
from eagle_bench.models.target import Step, Target

CALLS_PER_ITERATION = 2


def speculative_generate_one_step(
    target: Target, drafter: Drafter, context: list[int], draft_len: int
) -> tuple[list[int], int, float]:
    """One iteration.

    Returns
    -------
    tokens : list[int]
        The target's next token, then the draft tokens that it agrees with. Its own token at
        the mismatch is the next iteration's first.
    target_calls : int
        Always 2.
    acceptance_rate : float
        Accepted over drafted tokens.
    """
    step = _run(target, context, no_draft(1, target.spec.device), features=True)
    root = int(step.logits[0, -1].argmax())
    room = target.spec.max_positions - 1 - len(context)
    if room < 1:
        _run(target, [*context, root], no_draft(1, target.spec.device), features=False)
        return [root], CALLS_PER_ITERATION, 0.0
    drafter.start(1, len(context) + draft_len + 2)
    drafter.prefill(0, context, root, step.features, "")
    draft = grow(drafter, min(draft_len, room), draft_len, Best(1))
    verified = _run(target, [*context, root], draft, features=False)
    logits = verified.logits[:, len(context) :]
    [verdict] = accept_greedy(draft, logits)
    return [root, *verdict.tokens[:-1]], CALLS_PER_ITERATION, verdict.accepted / draft.nodes


@torch.inference_mode()
def speculative_generate(
    target: Target,
    drafter: Drafter,
    request: Request,
    draft_len: int,
    eos_ids: frozenset[int],
) -> Generation:
    """Iterate until EOS or `gen_len`.

    The bonus of the last iteration is verified but never emitted, so it counts as overshoot,
    which keeps `new_tokens = 1 + sum(accepted + 1) - overshoot` for this method too.
    """
    synchronize = synchronizer(target.spec.device)
    generation = Generation(request, overshoot=1)
    calls_before = drafter.calls
    synchronize()
    generation.started_s = time.perf_counter()
    done = False
    while not done:
        context = request.tokens + generation.tokens
        tokens, calls, _ = speculative_generate_one_step(target, drafter, context, draft_len)
        generation.target_calls += calls
        offered = min(draft_len, max(target.spec.max_positions - 1 - len(context), 0))
        generation.rounds.append(
            Round(len(generation.tokens), len(context), offered, offered, len(tokens) - 1)
        )
        done = generation.emit(tokens, eos_ids)
        if not generation.prefill_s:
            generation.prefill_s = time.perf_counter() - generation.started_s
    generation.wall_s = time.perf_counter() - generation.started_s
    generation.draft_calls = drafter.calls - calls_before
    return generation


class TwoPass:
    """The reference as an arm; greedy, one sequence at a time."""

    name = "two_pass"

    def __init__(
        self, target: Target, drafter: Drafter, draft_len: int, *, ignore_eos: bool
    ) -> None:
        self.target = target
        self.drafter = drafter
        self.draft_len = draft_len
        self.eos_ids = frozenset[int]() if ignore_eos else target.spec.eos_ids

    def generate(self, requests: Iterable[Request], batch_size: int = 1) -> Iterator[Generation]:
        for request in requests:
            yield speculative_generate(
                self.target, self.drafter, request, self.draft_len, self.eos_ids
            )


def _run(target: Target, context: list[int], draft: Draft, *, features: bool) -> Step:
    """One call over the whole context and the draft behind it, on a cache that is thrown away."""
    device = target.spec.device
    tokens = torch.cat((torch.tensor([context], device=device), draft.tokens), dim=1)
    positions = torch.arange(tokens.shape[1], device=device)[None]
    cache = KVCache(1, tokens.shape[1])
    return target.forward(tokens, positions, None, cache, features=features)
