"""Training-time test: the same states as sequential drafting, the stated loss, and learning."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from torch import Tensor

from eagle_bench.config.training import Eagle3TrainingConfig
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.drafters.heads.ttt import ttt_hidden, use_ttt_attention
from eagle_bench.models.cache import KVCache
from eagle_bench.training.eagle3 import draft_vocabulary, ttt_loss

HIDDEN, VOCAB = 16, 24
KEPT = torch.tensor([1, 2, 5, 6, 7, 11, 12, 20, 21, 23])


def head(
    seed: int = 0,
    heads: int = 4,
    kv_heads: int = 2,
    draft_vocab: int = 10,
    window: int | None = None,
) -> EagleHead:
    """A random head, biased by nothing, its weights large enough for attention to matter."""
    torch.manual_seed(seed)
    made = EagleHead(
        HeadConfig(
            hidden_size=HIDDEN,
            target_hidden_size=HIDDEN,
            num_heads=heads,
            num_kv_heads=kv_heads,
            head_dim=HIDDEN // heads,
            intermediate_size=24,
            vocab_size=VOCAB,
            draft_vocab_size=draft_vocab,
            max_positions=64,
            reading=HeadReading(window=window),
        )
    )
    for weight in made.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.5)
    return made


def drafted(made: EagleHead, embeds: Tensor, features: Tensor, at: int, steps: int) -> Tensor:
    """States `[steps, hidden]` of drafting one by one after the context `0..at`."""
    cache = KVCache(1, 64)
    fused = made.fuse(features[:, : at + 1])
    positions = torch.arange(at + 1)[None]
    state = made(embeds[:, 1 : at + 2], fused, positions, None, cache)[:, -1:]
    cache.commit_all()
    states = [state]
    for step in range(1, steps):
        token = embeds[:, at + 1 + step : at + 2 + step]
        state = made(token, state, torch.tensor([[at + step]]), None, cache)
        states.append(state)
    return torch.cat(states, dim=1)[0]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    seq=st.integers(5, 12),
    steps=st.integers(1, 4),
    shape=st.sampled_from([(4, 2), (2, 2), (4, 1)]),
    window=st.sampled_from([None, 1, 3]),
)
def test_step_k_is_k_draft_steps(
    seed: int, seq: int, steps: int, shape: tuple[int, int], window: int | None
) -> None:
    made = head(seed, *shape, window=window)
    embeds, features = torch.randn(1, seq + 1, HIDDEN), torch.randn(1, seq, 3 * HIDDEN)
    with torch.no_grad():
        expected = {at: drafted(made, embeds, features, at, steps) for at in range(seq - steps + 1)}
        use_ttt_attention(made)
        got = torch.stack(ttt_hidden(made, embeds, features, steps), dim=2)
    for at, states in expected.items():
        torch.testing.assert_close(got[0, at], states, atol=1e-4, rtol=1e-4)


def test_a_step_at_the_wrong_position_is_told_apart() -> None:
    made = head()
    embeds, features = torch.randn(1, 9, HIDDEN), torch.randn(1, 8, 3 * HIDDEN)
    with torch.no_grad():
        right = drafted(made, embeds, features, 4, 2)
        rope = made.rope
        made.rope = lambda positions, dtype: rope(positions.clamp(max=4), dtype)
        wrong = drafted(made, embeds, features, 4, 2)
    torch.testing.assert_close(right[0], wrong[0])
    assert (right[1] - wrong[1]).abs().max() > 1e-2


def test_loss_by_hand() -> None:
    made = head()
    made.set_vocabulary(KEPT)
    use_ttt_attention(made)
    config = Eagle3TrainingConfig(name="eagle3", ttt_length=3, step_decay=0.5)
    seq = 8
    embeds, features = torch.randn(1, seq + 1, HIDDEN), torch.randn(1, seq, 3 * HIDDEN)
    teacher = 3 * torch.randn(1, seq, VOCAB)
    weights = torch.tensor([[0.1, 0.1, 1.0, 1.0, 0.1, 1.0, 1.0, 1.0]])
    loss, figures = ttt_loss(made, embeds, features, teacher, weights, config)

    expected = 0.0
    for step, states in enumerate(ttt_hidden(made, embeds, features, 3)):
        total = share = 0.0
        right, answers = [], []
        for at in range(seq - 1 - step):
            place = at + 1 + step
            logits = made.logits(states[:, at : at + 1])[0, 0].detach()
            best = int(teacher[0, place].argmax())
            wanted = teacher[0, place][KEPT].softmax(0)
            if best in KEPT.tolist():
                total += float(weights[0, place] * -(wanted * logits.log_softmax(0)).sum())
                share += float(weights[0, place])
            if weights[0, place] == 1.0:
                answers.append(place)
                right.append(int(KEPT[logits.argmax()]) == best)
        expected += 0.5**step * total / share
        assert figures[f"accuracy_{step}"] == pytest.approx(sum(right) / len(answers))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_a_head_learns_a_legible_target_at_every_position() -> None:
    made = head(draft_vocab=VOCAB)
    made.set_vocabulary(torch.arange(VOCAB))
    for weight in made.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.15)
    use_ttt_attention(made)
    config = Eagle3TrainingConfig(name="eagle3", ttt_length=4)
    rule = torch.randperm(VOCAB)
    table = torch.randn(VOCAB, HIDDEN)
    columns = [torch.arange(0, VOCAB, 2)]
    for _ in range(15):
        columns.append(rule[columns[-1]])
    ids = torch.stack(columns, dim=1)
    embeds = table[ids]
    features = embeds[:, :-1].repeat(1, 1, 3)
    teacher = 8.0 * torch.nn.functional.one_hot(rule[ids[:, :-1]], VOCAB)
    weights = torch.ones(len(ids), 15)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    first = ttt_loss(made, embeds, features, teacher, weights, config)[1]
    for _ in range(60):
        optimizer.zero_grad()
        loss, figures = ttt_loss(made, embeds, features, teacher, weights, config)
        loss.backward()
        optimizer.step()
    for name, accuracy in figures.items():
        assert first[name] < 0.3
        assert accuracy > 0.9


def test_draft_vocabulary_holds_the_commonest(quick_tokenizer: Tokenizer) -> None:
    kept = draft_vocabulary(quick_tokenizer, 120, seed=0, samples=60)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert len(kept) == 120
    for text in ("<|end|>", " the", "0", "1"):
        (token,) = quick_tokenizer.encode(text).ids
        assert token in kept
    everything = draft_vocabulary(quick_tokenizer, 300, seed=0, samples=20)
    assert everything.tolist() == list(range(300))
