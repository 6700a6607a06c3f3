"""Is this head read as it was trained? Asked of the head itself, before anything is measured.

Hidden layers one off, a missing vocabulary map, a norm in the wrong place or another RoPE base
do not crash: they turn 60% acceptance into 20% or 1%. So the target continues a few prompts,
the head drafts over that text with the true tokens given (teacher forcing), and what it thinks
of the target's choices is taken under the settings that were detected and under every other
plausible reading (`readings.py`). The same places are judged in each, so the comparison is
paired; it is made on log-probabilities, which see a small misfit long before accuracy does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eagle_bench.config.values import Attention
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.drafters.heads.ttt import ttt_hidden, use_ttt_attention
from eagle_bench.errors import UserError
from eagle_bench.measure.probe.continuation import (
    DRAFT_STEPS,
    Continuation,
    all_choices,
    all_prompts,
    continued,
)
from eagle_bench.measure.probe.elsewhere import (
    above,
    beats,
    best_elsewhere,
    commonest,
    renamed_elsewhere,
    unrelated,
)
from eagle_bench.measure.probe.readings import Reading, as_read, readings
from eagle_bench.models.target import Target

KNOWN_TEXT = 0.5
"""Share of hits above which a head knows a text."""

FLOOR = -12.0
"""Log-probability of a token that the head cannot propose; lower ones count as this."""

NOT_ASKED = "not asked"
ADOPTED = "adopted"
ROUNDS = 3
"""Faults that may come together."""


@dataclass(frozen=True)
class Judgement:
    """What a head said at every judged place, step by step.

    Attributes
    ----------
    log_probs : Tensor
        float `[places]`, of the target's choice.
    ids : Tensor
        int64 `[places]`, the head's best tokens as target ids.
    """

    log_probs: Tensor
    ids: Tensor

    @property
    def loss(self) -> float:
        """Mean negative log-probability, in nats a token."""
        return -self.log_probs.mean().item()


@dataclass(frozen=True)
class Tried:
    """A reading and how well it did.

    Attributes
    ----------
    fix : str
        What to set so that the head is read this way.
    accuracy : float
        Share of the target's choices that the head had, over all draft steps.
    loss : float
        Mean negative log-probability of the target's choices, in nats a token.
    """

    name: str
    fix: str
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Preflight:
    """What the check found.

    Attributes
    ----------
    verdict : str
        `fits`; `misread`: another reading is clearly better; `adopted`: and it is taken;
        `unmapped`: the head's choices follow the target's under another vocabulary map;
        `chance`: no reading does better than drafts that have nothing to do with the text;
        `not asked`: fewer than two prompts leave room.
    accuracy, loss, by_step : float, float, list[float]
        Under the detected settings: share of the target's choices that the head had and mean
        negative log-probability (nats a token) over all draft steps, and the share at each.
    chance : float
        Of always guessing the target's commonest choice.
    tokens : int
        Places judged per draft step.
    adopted : HeadReading or None
        What is to be taken in place of the detected settings.
    """

    verdict: str
    sentence: str
    accuracy: float
    loss: float
    by_step: list[float]
    chance: float
    tokens: int
    tried: list[Tried]
    adopted: HeadReading | None = None

    def plain(self) -> dict[str, Any]:
        """As plain JSON types."""
        adopted = None if self.adopted is None else self.adopted.plain()
        return asdict(replace(self, adopted=None)) | {"adopted": adopted}


@torch.inference_mode()
def preflight(
    head: EagleHead, target: Target, prompts: Sequence[list[int]], *, adopt: bool = True
) -> Preflight:
    """Judge `head` on `target`'s own continuation of `prompts`.

    With `adopt`, a better reading that the folder and the settings allow is to be taken.

    Raises
    ------
    UserError
        The target's logits are not finite, or the head's are not as it is configured.
    """
    here = as_read(head.config, target.spec.num_layers)
    others = readings(here, target.spec.num_layers)
    layers = sorted({layer for each in [here, *others] for layer in each.aux})
    texts = continued(target, prompts, layers)
    if not texts:
        sentence = "no prompt leaves room for a few tokens more, so the head was not asked."
        return Preflight(NOT_ASKED, sentence, 0.0, 0.0, [], 0.0, 0, [])
    choices, of_prompt = all_choices(texts), all_prompts(texts)
    detected = best_said = _judge(head, target, texts, here)
    _check_finite(detected, of_prompt, target)
    best = here
    tried: list[Tried] = []
    fixes: list[Reading] = []
    for _ in range(ROUNDS if len(texts) > 1 else 0):
        others = [
            each for each in readings(best, target.spec.num_layers) if set(each.aux) <= set(layers)
        ]
        said = [best_said, *(_judge(head, target, texts, each) for each in others)]
        tried += [
            _tried(each, fixes, it, choices) for each, it in zip(others, said[1:], strict=True)
        ]
        scores = _scores(said, choices)
        won = int(scores.mean(1).argmax())
        if won == 0 or not beats(best_elsewhere(scores, of_prompt), scores[0], of_prompt):
            break
        best, best_said = others[won - 1], said[won]
        fixes.append(best)
    hits = detected.ids == choices
    adopt = adopt and all(each.allowed for each in fixes)
    verdict, sentence = _verdict(detected, best_said, choices, of_prompt, fixes, adopt)
    return Preflight(
        verdict=verdict,
        sentence=sentence,
        accuracy=_share(hits),
        loss=detected.loss,
        by_step=[_share(part) for part in hits.chunk(DRAFT_STEPS)],
        chance=_share(commonest(choices)),
        tokens=len(hits) // DRAFT_STEPS,
        tried=tried,
        adopted=best.config.reading if verdict == ADOPTED else None,
    )


def _tried(reading: Reading, fixes: Sequence[Reading], said: Judgement, choices: Tensor) -> Tried:
    name = " and ".join([*[each.name for each in fixes], reading.name])
    return Tried(name, reading.fix, _share(said.ids == choices), said.loss)


def _judge(
    head: EagleHead, target: Target, texts: Sequence[Continuation], reading: Reading
) -> Judgement:
    """What the head says at these places under `reading`.

    The drafting is EAGLE-3's training-time test (`drafters/heads/ttt.py`).
    """
    twin = head.variant(reading.config.reading, Attention.sdpa)
    use_ttt_attention(twin)
    embed = twin.embed if twin.embed_tokens is not None else target.embed
    drafted: list[list[Tensor]] = [[] for _ in range(DRAFT_STEPS)]
    for text in texts:
        features = torch.cat([text.layers[each][:, :-1] for each in reading.aux], -1)
        slot = twin.mask_embeds(target.embed)
        states = ttt_hidden(twin, embed(text.tokens), features, DRAFT_STEPS, slot)
        for step, hidden in enumerate(states):
            drafted[step].append(twin.logits(hidden[0, text.places(step)]))
    logits = torch.cat([part for step in drafted for part in step]).float()
    own_ids = torch.arange(logits.shape[-1], device=logits.device)
    ids = twin.to_target(own_ids)
    over_target = logits.new_full((len(logits), target.spec.vocab_size), FLOOR)
    over_target[:, ids] = logits.log_softmax(-1).clamp(min=FLOOR)
    chosen = over_target.gather(1, all_choices(texts)[:, None])[:, 0]
    return Judgement(chosen, ids[logits.argmax(-1)])


def _check_finite(said: Judgement, of_prompt: Tensor, target: Target) -> None:
    """Such a head drafts its first token over and over; a run would measure that, losslessly."""
    broken = said.log_probs.isnan()
    if broken.any():
        dtype = str(target.spec.dtype).removeprefix("torch.")
        raise UserError(
            f"The head's logits are not finite in the pre-flight (dtype={dtype}), first on its "
            f"prompt {int(of_prompt[broken][0])}; use dtype=bfloat16 or float32, or mend the "
            "head's weights."
        )


def _scores(said: Sequence[Judgement], choices: Tensor) -> Tensor:
    """What the readings are compared by: float `[readings, places]`.

    Log-probabilities see a small misfit long before hits do, but only of a head that knows the
    text. On strange text the reading that is least sure of itself loses least, and a head that
    is read rightly would be accused: there the hits decide.
    """
    hits = torch.stack([each.ids == choices for each in said]).float()
    if hits.mean(1).max() > KNOWN_TEXT:
        return torch.stack([each.log_probs for each in said]).nan_to_num(nan=FLOOR)
    return hits


def _share(hits: Tensor) -> float:
    return hits.float().mean().item()


def _verdict(
    detected: Judgement,
    best: Judgement,
    choices: Tensor,
    of_prompt: Tensor,
    fixes: list[Reading],
    adopt: bool,
) -> tuple[str, str]:
    hits, best_hits = detected.ids == choices, best.ids == choices
    seen = f"the head agrees with {_share(hits):.1%} of the target's choices as it is configured"
    several = bool(of_prompt.any())
    if several:
        renamed = renamed_elsewhere(detected.ids, choices, of_prompt)
        if all(beats(renamed, each, of_prompt) for each in (best_hits, commonest(choices))):
            return "unmapped", (
                f"{seen}, but with {_share(renamed):.1%} once its token ids are renamed: its "
                "vocabulary map (d2t) was dropped or belongs to another head; give the trainer's "
                "as drafter.vocab_mapping=FILE.pt."
            )
    by_chance = unrelated(best.ids, choices)
    if not above(best_hits, by_chance):
        return "chance", (
            f"{seen}, no more than drafts that have nothing to do with the text "
            f"({_share(by_chance):.1%}), and no other reading does better: it was trained for "
            "another target or chat template, for other text, or not trained."
        )
    if fixes:
        names = " and ".join(each.name for each in fixes)
        fix = "; ".join(each.fix for each in fixes)
        found = (
            f"{seen} (loss {detected.loss:.2f}), but with {_share(best_hits):.1%} "
            f"(loss {best.loss:.2f}) under {names}"
        )
        if adopt:
            return ADOPTED, f"{found}, which is taken; drafter.reading=as_configured leaves it."
        return "misread", f"{found}: set {fix}."
    if not several:
        return NOT_ASKED, f"{seen}; one prompt cannot show whether another reading does better."
    return "fits", f"{seen}; no other reading does better."
