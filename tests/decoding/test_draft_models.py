"""Which draft models draft for a target, by the tokens that their tokenizers share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tiny_models import VOCAB, generic_target, tiny_model

from eagle_bench.config.values import Proposal
from eagle_bench.decoding.build import plain_greedy
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.draft_model import DraftModelDrafter
from eagle_bench.drafters.shared_tokens import check_tokens
from eagle_bench.errors import UserError
from eagle_bench.models.sampling import Sampling
from eagle_bench.models.transformers_target import TransformersTarget
from eagle_bench.records.generation import Request

WORDS = {f"w{index}": index for index in range(VOCAB)}


def speaking(words: dict[str, int], rows: int = VOCAB) -> TransformersTarget:
    """A tiny model of `rows` embeddings whose tokenizer has `words`."""
    target = generic_target(tiny_model(vocab_size=rows, seed=1))
    target.tokenizer = SimpleNamespace(get_vocab=lambda: words, eos_token_id=None)
    return target


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (WORDS, VOCAB),
        (WORDS | {"<tool>": VOCAB}, VOCAB),
        (WORDS | {"<tool>": VOCAB}, 2 * VOCAB),
        ({word: index for word, index in WORDS.items() if index < 40}, VOCAB),
        ({f"<reserved {w}>" if i > 44 else w: i for w, i in WORDS.items()}, VOCAB),
    ],
    ids=["equal", "one more", "padded", "some fewer", "reserved ones renamed"],
)
def test_the_tokens_that_both_have_decide(words: dict[str, int], rows: int) -> None:
    assert check_tokens(speaking(words, rows), speaking(WORDS)) == ()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (WORDS | {"w5": 6, "w6": 5}, "has 'w5' as 6, not 5"),
        ({word: index + 1 for word, index in WORDS.items()}, "has 'w0' as 1, not 0"),
        ({f"▁{word}": index for word, index in WORDS.items()}, "shares 0 tokens with it"),
    ],
)
def test_another_tokenizer_is_refused(words: dict[str, int], reason: str) -> None:
    with pytest.raises(UserError, match=f"another tokenizer than the target tiny: it {reason}"):
        check_tokens(speaking(words), speaking(WORDS))


def test_tokens_without_a_row_in_the_draft_model_are_said_and_drafted_for() -> None:
    target, small = speaking(WORDS), speaking(WORDS, 40)
    [remark] = check_tokens(small, target)
    assert remark.startswith("8 of the target's tokens have no row in the draft model")
    request = Request("q/0", [3, 47, 1, 44], 12)
    chain = Tree("chain", 3, 1, 3, Proposing(Proposal.greedy, Sampling()))
    drafting = Decoder(target, DraftModelDrafter(small, VOCAB), chain, Sampling())
    said, expected = (list(arm.generate([request])) for arm in (drafting, plain_greedy(target)))
    assert said[0].tokens == expected[0].tokens
