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

from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.measure.probe.continuation import (
    DRAFT_STEPS,
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
from eagle_bench.measure.probe.judgement import Judgement, check_head, judge, scores_of, share
from eagle_bench.measure.probe.readings import Reading, as_read, readings
from eagle_bench.models.target import Target

NOT_ASKED = "not asked"
ADOPTED = "adopted"
ROUNDS = 3
"""Faults that may come together."""


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
    detected = best_said = judge(head, target, texts, here)
    check_head(detected, of_prompt, target)
    best = here
    tried: list[Tried] = []
    fixes: list[Reading] = []
    rivals: list[Reading] = []
    for _ in range(ROUNDS if len(texts) > 1 else 0):
        others = [
            each for each in readings(best, target.spec.num_layers) if set(each.aux) <= set(layers)
        ]
        said = [best_said, *(judge(head, target, texts, each) for each in others)]
        tried += [
            _tried(each, fixes, it, choices) for each, it in zip(others, said[1:], strict=True)
        ]
        scores = scores_of(said, choices)
        won = int(scores.mean(1).argmax())
        if won == 0 or not beats(best_elsewhere(scores, of_prompt), scores[0], of_prompt):
            break
        better = [each.mean() > scores[0].mean() for each in scores[1:]]
        rivals += [
            each
            for each, score, helps in zip(others, scores[1:], better, strict=True)
            if helps and not each.allowed and not beats(scores[won], score, of_prompt)
        ]
        best, best_said = others[won - 1], said[won]
        fixes.append(best)
    hits = detected.ids == choices
    verdict, sentence = _verdict(detected, best_said, choices, of_prompt, fixes, rivals, adopt)
    return Preflight(
        verdict=verdict,
        sentence=sentence,
        accuracy=share(hits),
        loss=detected.loss,
        by_step=[share(part) for part in hits.chunk(DRAFT_STEPS)],
        chance=share(commonest(choices)),
        tokens=len(hits) // DRAFT_STEPS,
        tried=tried,
        adopted=best.config.reading if verdict == ADOPTED else None,
    )


def _tried(reading: Reading, fixes: Sequence[Reading], said: Judgement, choices: Tensor) -> Tried:
    name = " and ".join([*[each.name for each in fixes], reading.name])
    return Tried(name, reading.fix, share(said.ids == choices), said.loss)


def _verdict(
    detected: Judgement,
    best: Judgement,
    choices: Tensor,
    of_prompt: Tensor,
    fixes: list[Reading],
    rivals: list[Reading],
    adopt: bool,
) -> tuple[str, str]:
    """Verdict and sentence; `rivals` are not allowed and help as `fixes` do."""
    hits, best_hits = detected.ids == choices, best.ids == choices
    seen = f"the head agrees with {share(hits):.1%} of the target's choices as it is configured"
    several = bool(of_prompt.any())
    if several:
        renamed = renamed_elsewhere(detected.ids, choices, of_prompt)
        if all(beats(renamed, each, of_prompt) for each in (best_hits, commonest(choices))):
            return "unmapped", (
                f"{seen}, but with {share(renamed):.1%} once its token ids are renamed: its "
                "vocabulary map (d2t) was dropped or belongs to another head; give the trainer's "
                "as drafter.vocab_mapping=FILE.pt."
            )
    by_chance = unrelated(best.ids, choices)
    if not above(best_hits, by_chance):
        return "chance", (
            f"{seen}, no more than drafts that have nothing to do with the text "
            f"({share(by_chance):.1%}), and no other reading does better: it was trained for "
            "another target or chat template, for other text, or not trained."
        )
    if fixes:
        names = " and ".join(each.name for each in fixes)
        fix = "; ".join(each.fix for each in fixes)
        found = (
            f"{seen} (loss {detected.loss:.2f}), but with {share(best_hits):.1%} "
            f"(loss {best.loss:.2f}) under {names}"
        )
        if adopt and not rivals:
            return ADOPTED, f"{found}, which is taken; drafter.reading=as_configured leaves it."
        if adopt and all(each.allowed for each in fixes):
            names = " or ".join(each.name for each in rivals)
            return "misread", (
                f"{found}, and hardly less under {names}, which the folder or a setting speaks "
                f"against, so nothing is taken: set {' or '.join([fix, *(r.fix for r in rivals)])}."
            )
        return "misread", f"{found}: set {fix}."
    if not several:
        return NOT_ASKED, f"{seen}; one prompt cannot show whether another reading does better."
    return "fits", f"{seen}; no other reading does better."
