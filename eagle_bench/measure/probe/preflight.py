"""Is this head read as it was trained? Asked of the head itself, before anything is measured.

Hidden layers one off, a missing vocabulary map, a norm in the wrong place or another RoPE base
do not crash: they turn 60% acceptance into 20% or 1%. So the target continues a few prompts,
the head drafts over that text with the true tokens given (teacher forcing), and what it thinks
of the target's choices is taken under the settings that were detected and under every other
plausible reading (`readings.py`). The same places are judged in each, so the comparison is
paired; it is made on log-probabilities, which see a small misfit long before accuracy does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from eagle_bench.config.values import Attention
from eagle_bench.data.chat import opening
from eagle_bench.decoding.build import plain_greedy
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.ttt import ttt_hidden, use_ttt_attention
from eagle_bench.engines.setup import Listener, Setup
from eagle_bench.measure.probe.readings import Reading, as_read, readings
from eagle_bench.models.read import read
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Request

DRAFT_STEPS = 3
PROMPTS = 8
TOKENS_EACH = 48
CLEAR_Z = 4.0
"""Standard errors by which one reading must beat another, or chance, to be believed: with a
dozen readings tried, about one false alarm in two thousand heads."""

CLEAR_GAIN = 0.02
"""Nats a token by which another reading must be better to be worth a word."""

FLOOR = -12.0
"""Log-probability of a token that the head cannot propose; lower ones count as this."""

NOT_ASKED = "not asked"
ROUNDS = 3
"""Faults that may come together."""


@dataclass(frozen=True)
class Passage:
    """One prompt, continued by the target.

    Attributes
    ----------
    tokens : Tensor
        `[1, n]`, prompt and continuation.
    choices : Tensor
        `[n]`, the target's best token after each of `tokens`.
    answer_from : int
        Index of the first continued token.
    layers : dict[int, Tensor]
        By layer, the hidden states `[1, n, hidden]` at that layer's input.
    """

    tokens: Tensor
    choices: Tensor
    answer_from: int
    layers: dict[int, Tensor]


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
        `fits`; `misread`: another reading is clearly better; `unmapped`: the head's choices
        follow the target's under another vocabulary map; `chance`: no reading beats guessing;
        `not asked`: no prompt leaves room.
    accuracy, loss, by_step : float, float, list[float]
        Under the detected settings: share of the target's choices that the head had and mean
        negative log-probability (nats a token) over all draft steps, and the share at each.
    chance : float
        Of always guessing the target's commonest choice.
    tokens : int
        Places judged per draft step.
    """

    verdict: str
    sentence: str
    accuracy: float
    loss: float
    by_step: list[float]
    chance: float
    tokens: int
    tried: list[Tried]

    def plain(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)


@torch.inference_mode()
def preflight(head: EagleHead, target: Target, prompts: Sequence[list[int]]) -> Preflight:
    """Judge `head` on `target`'s own continuation of the first `PROMPTS` of `prompts`."""
    here = as_read(head.config, target.spec.num_layers)
    passages = _passages(target, prompts[:PROMPTS], here, readings(here, target.spec.num_layers))
    if not passages:
        sentence = "no prompt leaves room for a few tokens more, so the head was not asked."
        return Preflight(NOT_ASKED, sentence, 0.0, 0.0, [], 0.0, 0, [])
    choices = _choices(passages)
    detected = best_said = _judge(head, target, passages, here)
    best = here
    tried: list[Tried] = []
    fixes: list[Reading] = []
    for _ in range(ROUNDS):
        better: list[tuple[float, Reading, Judgement]] = []
        for other in readings(best, target.spec.num_layers):
            if not set(other.aux) <= set(passages[0].layers):
                continue
            said = _judge(head, target, passages, other)
            name = " and ".join([*[each.name for each in fixes], other.name])
            loss = -said.log_probs.mean().item()
            tried.append(Tried(name, other.fix, _share(said.ids == choices), loss))
            if _beats(said.log_probs, best_said.log_probs):
                better.append((loss, other, said))
        if not better:
            break
        _, best, best_said = min(better, key=lambda each: each[0])
        fixes.append(best)
    hits = detected.ids == choices
    verdict, sentence = _verdict(detected, best_said, choices, fixes)
    return Preflight(
        verdict=verdict,
        sentence=sentence,
        accuracy=_share(hits),
        loss=-detected.log_probs.mean().item(),
        by_step=[_share(part) for part in hits.chunk(DRAFT_STEPS)],
        chance=_majority(choices),
        tokens=len(hits) // DRAFT_STEPS,
        tried=tried,
    )


def _passages(
    target: Target, prompts: Sequence[list[int]], here: Reading, others: list[Reading]
) -> list[Passage]:
    """The target's greedy continuations, with the features of every reading."""
    wanted = sorted({layer for each in [here, *others] for layer in each.aux})
    room = target.spec.max_positions
    requests = [
        Request(str(index), prompt, min(TOKENS_EACH, room - len(prompt)))
        for index, prompt in enumerate(prompts)
        if len(prompt) + DRAFT_STEPS + 2 < room
    ]
    if not requests:
        return []
    said = {each.request.key: each.tokens for each in plain_greedy(target).generate(requests, 1)}
    before = target.spec.aux_layers
    target.set_aux_layers(tuple(wanted))
    passages = []
    for request in requests:
        tokens = torch.tensor([[*request.tokens, *said[request.key]]], device=target.spec.device)
        step = read(target, tokens, features=True)
        assert step.features is not None
        parts = step.features.chunk(len(wanted), dim=-1)
        layers = dict(zip(wanted, parts, strict=True))
        passages.append(Passage(tokens, step.logits[0].argmax(-1), len(request.tokens), layers))
    target.set_aux_layers(before)
    return passages


def _places(passage: Passage, step: int) -> slice:
    """Indices of the features from which draft step `step` draws a token of the continuation."""
    n = passage.tokens.shape[1]
    return slice(max(passage.answer_from - 2 - step, 0), n - 1 - step)


def _choices(passages: list[Passage]) -> Tensor:
    """What the target chose at every judged place, step by step."""
    chosen = []
    for step in range(DRAFT_STEPS):
        for passage in passages:
            places = _places(passage, step)
            chosen.append(passage.choices[places.start + 1 + step : places.stop + 1 + step])
    return torch.cat(chosen)


def _judge(head: EagleHead, target: Target, passages: list[Passage], reading: Reading) -> Judgement:
    """What the head says at these places under `reading`.

    The drafting is EAGLE-3's training-time test (`drafters/heads/ttt.py`).
    """
    twin = head.variant(reading.config.reading, Attention.sdpa)
    use_ttt_attention(twin)
    embed = twin.embed if twin.embed_tokens is not None else target.embed
    drafted: list[list[Tensor]] = [[] for _ in range(DRAFT_STEPS)]
    for passage in passages:
        features = torch.cat([passage.layers[each][:, :-1] for each in reading.aux], -1)
        states = ttt_hidden(twin, embed(passage.tokens), features, DRAFT_STEPS)
        for step, hidden in enumerate(states):
            drafted[step].append(twin.logits(hidden[0, _places(passage, step)]))
    logits = torch.cat([part for step in drafted for part in step]).float()
    own_ids = torch.arange(logits.shape[-1], device=logits.device)
    ids = twin.to_target(own_ids)
    over_target = logits.new_full((len(logits), target.spec.vocab_size), FLOOR)
    over_target[:, ids] = logits.log_softmax(-1).clamp(min=FLOOR)
    chosen = over_target.gather(1, _choices(passages)[:, None])[:, 0]
    return Judgement(chosen, ids[logits.argmax(-1)])


def _share(hits: Tensor) -> float:
    return hits.float().mean().item()


def _majority(choices: Tensor) -> float:
    return torch.bincount(choices).max().item() / len(choices)


def _beats(scores: Tensor, others: Tensor) -> bool:
    """Whether `scores` are clearly higher than `others`, place by place (a paired z-test)."""
    gain = scores.float() - others.float()
    error = gain.std().item() / math.sqrt(len(gain))
    return gain.mean().item() > max(CLEAR_Z * error, CLEAR_GAIN)


def _verdict(
    detected: Judgement, best: Judgement, choices: Tensor, fixes: list[Reading]
) -> tuple[str, str]:
    hits, best_hits = detected.ids == choices, best.ids == choices
    guess = choices == torch.bincount(choices).argmax()
    seen = f"the head agrees with {_share(hits):.1%} of the target's choices as it is read"
    renamed = _renamed(detected.ids, choices)
    if _beats(renamed, best_hits[1::2]) and _beats(renamed, guess[1::2]):
        return "unmapped", (
            f"{seen}, but with {_share(renamed):.1%} once its token ids are renamed: its "
            "vocabulary map (d2t) was dropped or belongs to another head; give the trainer's "
            "as drafter.vocab_mapping=FILE.pt."
        )
    if not _beats(best_hits, guess):
        return "chance", (
            f"{seen}, no more than by guessing ({_share(guess):.1%}), and no other reading does "
            "better: it was trained for another target, or not trained."
        )
    if fixes:
        names = " and ".join(each.name for each in fixes)
        fix = "; ".join(each.fix for each in fixes)
        return "misread", (
            f"{seen} (loss {-detected.log_probs.mean().item():.2f}), but with "
            f"{_share(best_hits):.1%} (loss {-best.log_probs.mean().item():.2f}) under {names}: "
            f"set {fix}."
        )
    return "fits", f"{seen}; no other reading does better."


def _renamed(detected: Tensor, choices: Tensor) -> Tensor:
    """Hits on every other place once each drafted id stands for what the target chose most
    often beside it on the places between.
    """
    learnt: dict[int, list[int]] = {}
    for drafted, chosen in zip(detected[::2].tolist(), choices[::2].tolist(), strict=False):
        learnt.setdefault(drafted, []).append(chosen)
    names = {drafted: max(set(seen), key=seen.count) for drafted, seen in learnt.items()}
    renamed = [names.get(each, -1) for each in detected[1::2].tolist()]
    return torch.tensor(renamed, device=choices.device) == choices[1::2]


def ask_head(setup: Setup, listener: Listener) -> None:
    """Ask an EAGLE head once how it is read; the answer goes into the provenance."""
    built, session = setup.session.drafter, setup.session
    if built.head is None:
        return
    if built.preflight is None:
        some = setup.prompts.prompts[:PROMPTS]
        encoded = [session.chat.encode(opening(prompt)) for prompt in some]
        with listener.phase(f"pre-flight on {len(some)} prompts"):
            built.preflight = preflight(built.head, session.target, encoded).plain()
    setup.provenance["preflight"] = built.preflight
    mark = "ok" if built.preflight["verdict"] == "fits" else "WARNING"
    listener.say(f"pre-flight {mark}: {built.preflight['sentence']}")
