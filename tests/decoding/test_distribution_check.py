"""`measure.distribution` on a tiny target: the exact joint, lossless arms, planted faults."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_world as world
import torch
from torch import Tensor

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import DraftModelConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.pair import DistributionConfig
from eagle_bench.config.values import Proposal
from eagle_bench.decoding import loop
from eagle_bench.decoding.accept import Acceptance, accept_sampled
from eagle_bench.decoding.draft import Draft
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.figures.goodness import ArmCheck
from eagle_bench.measure.probe.distribution import check_arm, exact_joint
from eagle_bench.models.sampling import Sampling, draw

SAMPLED = Sampling(1.8, top_k=3, seed=2)
CONTEXTS = {f"p{seed}": world.prompt_of(seed, 4 + 3 * seed) for seed in range(2)}
CONFIG = DistributionConfig(
    model=ModelConfig(name="tiny"),
    drafter=DraftModelConfig(name="noisy"),
    dataset=DatasetConfig(name="tiny"),
    decoding=ChainConfig(name="chain"),
    tokens=3,
    draws=200,
    temperature=1.8,
    top_k=3,
    batch_size=50,
)


@cache
def joints() -> dict[str, dict[tuple[int, ...], float]]:
    found = {}
    for prompt_id, context in CONTEXTS.items():
        joint = exact_joint(world.target(), context, 3, SAMPLED, 100)
        assert joint is not None
        found[prompt_id] = joint
    return found


def check(drafter: object, proposal: Proposal) -> ArmCheck:
    method = Tree("chain", 2, 1, 2, Proposing(proposal, SAMPLED))
    arm = Decoder(world.target(), drafter, method, SAMPLED)
    return check_arm(arm, CONTEXTS, joints(), CONFIG)


def baseline() -> ArmCheck:
    nothing = Tree("baseline", 0, 1, 0, Proposing(Proposal.greedy, SAMPLED))
    return check_arm(
        Decoder(world.target(), NoDrafter(), nothing, SAMPLED), CONTEXTS, joints(), CONFIG
    )


def test_the_joint_is_the_models_own_and_ends_at_eos() -> None:
    context = CONTEXTS["p0"]
    free = exact_joint(world.target(), context, 2, SAMPLED, 9)
    assert free is not None
    assert sum(free.values()) == pytest.approx(1.0)
    for (first, second), share in free.items():
        logits = world.model()(torch.tensor([[*context, first]])).logits[0].double() / 1.8
        before, after = (logits[place].topk(3) for place in (-2, -1))
        shares = [
            values.softmax(-1)[(indices == token).nonzero()].item()
            for (values, indices), token in ((before, first), (after, second))
        ]
        assert share == pytest.approx(shares[0] * shares[1], rel=1e-4)
    ends_first = next(iter(free))[0]
    ended = exact_joint(world.target_with([ends_first]), context, 2, SAMPLED, 9)
    assert ended is not None
    assert ended[(ends_first,)] == pytest.approx(
        sum(share for output, share in free.items() if output[0] == ends_first)
    )
    assert exact_joint(world.target(), context, 2, SAMPLED, 8) is None


@pytest.mark.parametrize("proposal", Proposal)
def test_lossless_arms_are_consistent(proposal: Proposal) -> None:
    found = check(world.drafter("noisy"), proposal)
    assert found.consistent, found
    assert all(each.freedom >= 5 and each.impossible == 0 for each in found.fits.values())
    assert baseline().consistent


def takes_any_likely_child(
    draft: Draft, logits: Tensor, sampling: Sampling, streams: list[np.random.Generator]
) -> list[Acceptance]:
    """Broken: after a rejection the token is drawn from all of p."""
    verdicts = []
    for row, stream in enumerate(streams):
        p = sampling.distribution(logits[row])
        tokens: list[int] = []
        for token in draft.tokens[row].tolist():
            here = p[len(tokens)]
            if stream.random() >= float(here[token]):
                break
            tokens.append(token)
        bonus = draw(p[len(tokens)], stream)
        path = list(range(len(tokens) + 1))
        verdicts.append(Acceptance(path, [*tokens, bonus], draft.nodes, draft.depth))
    return verdicts


def forgets_the_temperature(
    draft: Draft, logits: Tensor, sampling: Sampling, streams: list[np.random.Generator]
) -> list[Acceptance]:
    """Broken: drafted tokens are verified without the temperature."""
    right = sampling if draft.nodes == 0 else Sampling(1.0, sampling.top_p, sampling.top_k)
    return accept_sampled(draft, logits, right, streams)


@pytest.mark.parametrize("rule", [takes_any_likely_child, forgets_the_temperature])
def test_a_biased_acceptance_rule_is_found_and_the_control_is_not(
    rule: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "accept_sampled", rule)
    found = check(world.drafter("noisy"), Proposal.greedy)
    assert found.p_value < 1e-6
    assert not found.consistent
    assert baseline().consistent


class Boasting:
    """A drafter whose best tokens are said to be draws from its distribution."""

    def __init__(self) -> None:
        self.honest = world.drafter("noisy")

    def __getattr__(self, name: str) -> object:
        return getattr(self.honest, name)

    def first(self, pick: object) -> Proposals:
        return self._best(self.honest.first(pick))

    def extend(self, *given: object) -> Proposals:
        return self._best(self.honest.extend(*given))

    def _best(self, proposals: Proposals) -> Proposals:
        assert proposals.q is not None
        return proposals._replace(tokens=proposals.q.argmax(-1, keepdim=True))


def test_a_drafter_with_a_false_q_is_found() -> None:
    assert check(Boasting(), Proposal.sample).p_value < 1e-6


def test_a_target_that_computes_something_else_with_a_cache_fails_the_control() -> None:
    target = world.target()
    hot = world.deepcopy_shell(target)

    def forward(tokens, positions, mask, cache, **how):  # type: ignore[no-untyped-def]
        step = target.forward(tokens, positions, mask, cache, **how)
        stale = cache.lengths[0] > 0
        return SimpleNamespace(logits=step.logits * (1.5 if stale else 1), features=step.features)

    hot.forward = forward
    nothing = Tree("baseline", 0, 1, 0, Proposing(Proposal.greedy, SAMPLED))
    arm = Decoder(hot, NoDrafter(), nothing, SAMPLED)
    assert not check_arm(arm, CONTEXTS, joints(), CONFIG).consistent
