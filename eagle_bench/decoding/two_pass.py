"""The seed's algorithm, kept as a reference: two target calls per iteration, no KV cache.

Each iteration runs the target over the whole context for hidden states and the next token,
drafts K tokens, and runs the target over everything again to verify. The same tokens come out
as from the one-pass loop; what the second call and the missing cache cost is the point.
"""

from __future__ import annotations

from collections.abc import Iterator

from eagle_bench.decoding.accept import accept_greedy
from eagle_bench.decoding.draft import no_draft
from eagle_bench.decoding.uncached import (
    Iteration,
    Uncached,
    draft_afresh,
    room_behind,
    run_uncached,
)
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.models.target import Target

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
    step = run_uncached(target, context, no_draft(1, target.spec.device), features=True)
    root = int(step.logits[0, -1].argmax())
    draft = draft_afresh(target, drafter, context, root, step.features, draft_len)
    verified = run_uncached(target, [*context, root], draft, features=False)
    [verdict] = accept_greedy(draft, verified.logits[:, len(context) :])
    rate = verdict.accepted / draft.nodes if draft.nodes else 0.0
    return [root, *verdict.tokens[:-1]], CALLS_PER_ITERATION, rate


class TwoPass(Uncached):
    """The reference as an arm.

    The bonus of the last iteration is verified but never emitted, so it counts as overshoot,
    which keeps `new_tokens = 1 + sum(accepted + 1) - overshoot` for this method too.
    """

    name = "two_pass"
    unemitted = 1

    def iterations(self, prompt: list[int]) -> Iterator[Iteration]:
        context = list(prompt)
        while True:
            tokens, calls, _ = speculative_generate_one_step(
                self.target, self.drafter, context, self.draft_len
            )
            drafted = min(self.draft_len, room_behind(self.target, context))
            yield Iteration(tokens, calls, len(context), drafted, len(tokens) - 1)
            context += tokens
