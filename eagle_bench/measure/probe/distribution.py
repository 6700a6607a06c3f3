"""At temperature > 0: is what an arm emits distributed as the target says?

The first tokens are generated many times, each with random numbers of its own, and the counts
of token sequences are compared with their exact joint distribution: the target's logits over
every possible prefix, one whole pass each, after temperature, top-k and top-p. The baseline
goes through the same test; it drafts nothing, so it is the control of the test itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch

from eagle_bench.config.pair import DistributionConfig
from eagle_bench.config.values import plain
from eagle_bench.decoding.build import build_baseline, build_speculative, sampling_of
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Loader
from eagle_bench.engines.setup import Listener, chosen_prompts, prepare
from eagle_bench.errors import UserError
from eagle_bench.figures.goodness import (
    ArmCheck,
    DistributionResult,
    Output,
    combined,
    fit,
    freedom,
)
from eagle_bench.models.read import read
from eagle_bench.models.sampling import Sampling
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Arm, Request

Joint = dict[Output, float]


def run_distribution(
    config: DistributionConfig, loader: Loader, listener: Listener
) -> DistributionResult:
    """Test the speculative arm, and the baseline as its control.

    Raises
    ------
    UserError
        A combination that cannot work, or more possible outputs than the draws are enough for.
    """
    run = config.run()
    setup = prepare(run, chosen_prompts(run), loader, listener)
    session, sampling = setup.session, sampling_of(run)
    contexts = {each.id: Conversation(session, each).context() for each in setup.prompts.prompts}
    joints: dict[str, Joint] = {}
    for prompt_id, context in contexts.items():
        joint = exact_joint(session.target, context, config.tokens, sampling, config.most_outputs)
        if joint is None:
            raise config.too_many_outputs(f"Prompt {prompt_id} has more than {config.most_outputs}")
        joints[prompt_id] = joint
    if not any(freedom(config.draws, joint) for joint in joints.values()):
        raise UserError(
            f"The target is so sure of its first {config.tokens} tokens that {config.draws} draws "
            f"would show one output only; raise temperature={config.temperature} or draws."
        )
    arms = (
        build_speculative(run, session.target, session.drafter.drafter),
        build_baseline(run, session.target),
    )
    listener.say(f"{config.draws} draws for each of {len(contexts)} prompts and both arms")
    speculative, baseline = (check_arm(arm, contexts, joints, config) for arm in arms)
    return DistributionResult(plain(config), speculative, baseline, setup.provenance)


def check_arm(
    arm: Arm,
    contexts: Mapping[str, list[int]],
    joints: Mapping[str, Joint],
    config: DistributionConfig,
) -> ArmCheck:
    """Draw from `arm` and compare the counts with the exact distributions, by prompt.

    Draws of different prompts share batches, so rows of different lengths stand side by side.
    """
    counts: dict[str, Counter[Output]] = {prompt_id: Counter() for prompt_id in contexts}
    origin: dict[str, str] = {}
    requests = []
    for draw in range(config.draws):
        for prompt_id, context in contexts.items():
            key = f"{arm.name}/{prompt_id}/{draw}"
            origin[key] = prompt_id
            requests.append(Request(key, context, config.tokens))
    for generation in arm.generate(requests, config.batch_size):
        counts[origin[generation.request.key]][tuple(generation.tokens)] += 1
    fits = {prompt_id: fit(counts[prompt_id], joint) for prompt_id, joint in joints.items()}
    p_value = combined(list(fits.values()))
    return ArmCheck(arm.name, fits, p_value, p_value >= config.level)


@torch.inference_mode()
def exact_joint(
    target: Target, context: list[int], tokens: int, sampling: Sampling, most: int
) -> Joint | None:
    """Probability of every possible output of `tokens` tokens, or fewer where EOS ends it.

    Nothing is cached or batched: each prefix is one whole pass of the target.

    Returns
    -------
    dict or None
        None as soon as there are more than `most` outputs.
    """
    outputs: Joint = {(): 1.0}
    for _ in range(tokens):
        longer: Joint = {}
        for prefix, share in outputs.items():
            if prefix and prefix[-1] in target.spec.stops:
                longer[prefix] = share
                continue
            for token, next_share in _next_token(target, [*context, *prefix], sampling):
                longer[*prefix, token] = share * next_share
            if len(longer) > most:
                return None
        outputs = longer
    return outputs


def _next_token(target: Target, text: list[int], sampling: Sampling) -> list[tuple[int, float]]:
    """The tokens that may follow `text`, with their probabilities."""
    shares = sampling.distribution(read(target, text).logits[0, -1])
    possible = shares.nonzero()[:, 0]
    return list(zip(possible.tolist(), shares[possible].tolist(), strict=True))
