"""What is learnt on one prompt proves nothing on that prompt: by hand."""

import torch

from eagle_bench.measure.probe.elsewhere import (
    beats,
    best_elsewhere,
    renamed_elsewhere,
    unrelated,
)

PROMPTS = torch.arange(8).repeat_interleave(40)


def test_a_renaming_that_each_prompt_has_of_its_own_is_none() -> None:
    """Every text loops on one token of its own, and the head drafts one and the same."""
    drafted = torch.zeros(len(PROMPTS), dtype=torch.int64)
    assert not renamed_elsewhere(drafted, PROMPTS, PROMPTS).any()


def test_a_renaming_that_all_prompts_share_is_found() -> None:
    chosen = torch.arange(len(PROMPTS)) % 5
    assert renamed_elsewhere(4 - chosen, chosen, PROMPTS).all()


def test_the_best_row_is_chosen_without_the_prompt_it_is_judged_on() -> None:
    scores = torch.zeros(9, len(PROMPTS))
    for prompt in range(8):
        scores[1 + prompt, prompt == PROMPTS] = 1.0
    assert scores.mean(1).max() == 0.125
    assert not best_elsewhere(scores, PROMPTS).any()


def test_a_gain_in_one_prompt_of_eight_is_no_gain() -> None:
    nothing = torch.zeros(len(PROMPTS))
    noise = torch.randn(len(PROMPTS), generator=torch.Generator().manual_seed(0))
    assert beats(nothing + 0.5 + noise, nothing, PROMPTS)
    assert not beats((PROMPTS == 3).float(), nothing, PROMPTS)
    assert not beats(nothing + 0.01, nothing, PROMPTS)


def test_drafts_that_have_nothing_to_do_with_the_text() -> None:
    chosen = torch.tensor([7, 7, 7, 2])
    assert unrelated(torch.tensor([7, 7, 2, 0]), chosen).tolist() == [0.75, 0.75, 0.25, 0.0]
