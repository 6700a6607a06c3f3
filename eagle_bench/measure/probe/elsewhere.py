"""What a few prompts prove: nothing is judged on the prompt that it was learnt from.

Places of one prompt resemble each other, and more so where the target repeats itself. A renaming
learnt in the first half of such a text is right in the second half whatever the head is, and a
reading that is flatter or sharper wins a whole text at once. So what is chosen is chosen on all
prompts but one and judged on that one, each in turn; and a gain must be clear against the scatter
between places and against that between prompts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CLEAR_PLACES = 4.0
CLEAR_PROMPTS = 2.0
"""Standard errors by which a gain must stand out, from place to place and from prompt to prompt."""

CLEAR_GAIN = 0.02
"""Nats, or share of hits, by which another reading must be better to be worth a word."""


def beats(scores: Tensor, others: Tensor, prompts: Tensor) -> bool:
    """Whether `scores` are clearly higher than `others`, place by place and prompt by prompt.

    Parameters
    ----------
    scores, others : Tensor
        `[places]`, of the same places.
    prompts : Tensor
        int64 `[places]`, the prompt of each: two at least.
    """
    gain = scores.float() - others.float()
    count = int(prompts.max()) + 1
    off = gain.new_zeros(count).index_add(0, prompts, gain - gain.mean())
    by_prompt = math.sqrt(count / (count - 1)) * off.norm().item() / len(gain)
    return above(scores, others) and gain.mean().item() > CLEAR_PROMPTS * by_prompt


def above(scores: Tensor, others: Tensor) -> bool:
    """Whether `scores` are clearly higher than `others` from place to place alone."""
    gain = scores.float() - others.float()
    by_place = gain.std().item() / math.sqrt(len(gain))
    return gain.mean().item() > max(CLEAR_PLACES * by_place, CLEAR_GAIN)


def best_elsewhere(scores: Tensor, prompts: Tensor) -> Tensor:
    """At each place the score of the row that is best on all other prompts.

    Parameters
    ----------
    scores : Tensor
        float `[rows, places]`.
    prompts : Tensor
        int64 `[places]`, the prompt of each: two at least.

    Returns
    -------
    Tensor
        float `[places]`.
    """
    sizes = torch.bincount(prompts)
    sums = scores.new_zeros(len(scores), len(sizes)).index_add(1, prompts, scores)
    elsewhere = (sums.sum(1, keepdim=True) - sums) / (sizes.sum() - sizes)
    return scores.gather(0, elsewhere.argmax(0)[prompts][None])[0]


def renamed_elsewhere(ids: Tensor, choices: Tensor, prompts: Tensor) -> Tensor:
    """Hits (bool `[places]`) once each drafted id stands for what the target chose most often
    beside it on all other prompts.
    """
    hits = torch.zeros_like(choices, dtype=torch.bool)
    for prompt in range(int(prompts.max()) + 1):
        here = prompts == prompt
        seen: dict[int, list[int]] = {}
        for drafted, chosen in zip(ids[~here].tolist(), choices[~here].tolist(), strict=True):
            seen.setdefault(drafted, []).append(chosen)
        names = {drafted: max(set(those), key=those.count) for drafted, those in seen.items()}
        renamed = [names.get(each, -1) for each in ids[here].tolist()]
        hits[here] = torch.tensor(renamed, device=choices.device) == choices[here]
    return hits


def commonest(choices: Tensor) -> Tensor:
    """Hits (bool `[places]`) of always guessing the target's commonest choice."""
    return choices == torch.bincount(choices).argmax()


def unrelated(ids: Tensor, choices: Tensor) -> Tensor:
    """Share of all choices that each drafted id has: float `[places]`.

    So often would such drafts be right if they had nothing to do with the text.
    """
    size = int(max(ids.max(), choices.max())) + 1
    return torch.bincount(choices, minlength=size)[ids] / len(choices)
