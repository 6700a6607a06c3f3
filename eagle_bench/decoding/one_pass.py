"""A reference between the seed's algorithm and the loop: one target call, but no KV cache.

Verification and the next features come from the same call, as in the loop; but that call, and
the drafter's first, run over the whole context each time. So `two_pass` against it shows what
the second call costs, and `chain` against it what the caches are worth.
"""

from __future__ import annotations

from collections.abc import Iterator

from eagle_bench.decoding.accept import accept_greedy
from eagle_bench.decoding.draft import no_draft
from eagle_bench.decoding.uncached import Iteration, Uncached, draft_afresh, run_uncached


class OnePass(Uncached):
    """The loop's rounds without its caches: the counts of a chain, not its speed."""

    name = "one_pass"

    def iterations(self, prompt: list[int]) -> Iterator[Iteration]:
        context = list(prompt)
        nothing = no_draft(1, self.target.spec.device)
        step = run_uncached(self.target, context, nothing, features=True)
        root = int(step.logits[0, -1].argmax())
        yield Iteration([root], 1, len(context))
        while True:
            assert step.features is not None
            known = step.features[:, : len(context)]
            draft = draft_afresh(self.target, self.drafter, context, root, known, self.draft_len)
            step = run_uncached(self.target, [*context, root], draft, features=True)
            [verdict] = accept_greedy(draft, step.logits[:, len(context) :])
            yield Iteration(verdict.tokens, 1, len(context), draft.nodes, verdict.accepted)
            context += [root, *verdict.tokens[:-1]]
            root = verdict.tokens[-1]
