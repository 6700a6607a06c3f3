"""The prompts that gained most and least, with what was accepted in their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eagle_bench.figures.frame import frame
from eagle_bench.figures.pairing import pair
from eagle_bench.records.rows import GenerationRow
from eagle_bench.results.report.pieces import Decode, split

FIRST = "first"
ACCEPTED = "accepted"
BONUS = "bonus"
PROMPT_LETTERS = 600


@dataclass(frozen=True)
class Span:
    """Neighbouring tokens with one origin: `first` (prefill's), `accepted` or `bonus`."""

    kind: str
    text: str
    hint: str


@dataclass(frozen=True)
class Sample:
    """One output of the speculative arm; `speedup` is over the baseline on the same prompt.

    `prompt` is the user's message before it, cut to its first letters; empty where unknown.
    """

    title: str
    category: str
    speedup: float
    tau: float | None
    new_tokens: int
    prompt: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Samples:
    """The best outputs first, the worst last first; `text` is false where ids stand for text."""

    best: tuple[Sample, ...]
    worst: tuple[Sample, ...]
    text: bool


def choose(
    rows: Sequence[GenerationRow],
    method: str,
    decode: Decode | None,
    count: int,
    prompts: Mapping[str, Sequence[str]],
) -> Samples:
    """Pick up to `count` outputs from either end, none of them twice.

    `prompts` are the user's messages by prompt.
    """
    cells = pair(frame(rows), method, drop_flagged=True).cells
    rates = [cells[f"new_tokens/{arm}"] / cells[f"busy_s/{arm}"] for arm in ("s", "b")]
    speedups = (rates[0] / rates[1]).sort_values(ascending=False)
    shown: dict[tuple[str, int], GenerationRow] = {}
    for row in rows:
        if row.arm == method:
            shown.setdefault((row.prompt_id, row.turn), row)
    samples = [(shown[key], float(value)) for key, value in speedups.items()]  # type: ignore[index]
    bottom = min(count, len(samples) // 2)
    top = min(count, len(samples) - bottom)
    best = tuple(_sample(*found, decode, prompts) for found in samples[:top])
    worst = tuple(_sample(*found, decode, prompts) for found in samples[::-1][:bottom])
    return Samples(best, worst, decode is not None)


def origins(row: GenerationRow) -> list[tuple[str, str, list[int]]]:
    """Cut an output by where its tokens came from: (kind, hint, token ids) in order.

    All of it is in one piece where the rounds are not told.
    """
    if row.accept_lengths is None:
        return [(FIRST, "the engine does not tell its rounds", row.token_ids)]
    opening = row.new_tokens + row.overshoot - sum(row.accept_lengths) - len(row.accept_lengths)
    parts = [(FIRST, "made by the prefill", row.token_ids[:opening])]
    place = opening
    for index, accepted in enumerate(row.accept_lengths, 1):
        ids = row.token_ids[place : place + accepted + 1]
        hint = f"round {index}: {accepted} accepted"
        parts += [(ACCEPTED, hint, ids[:accepted]), (BONUS, hint, ids[accepted:])]
        place += accepted + 1
    return [part for part in parts if part[2]]


def _sample(
    row: GenerationRow,
    speedup: float,
    decode: Decode | None,
    prompts: Mapping[str, Sequence[str]],
) -> Sample:
    asked = "".join(prompts.get(row.prompt_id, ())[row.turn : row.turn + 1])
    prompt = asked if len(asked) <= PROMPT_LETTERS else asked[:PROMPT_LETTERS].rstrip() + " …"
    parts = origins(row)
    texts = split([ids for _, _, ids in parts], decode)
    spans = [
        Span(kind, text, hint) for (kind, hint, _), text in zip(parts, texts, strict=True) if text
    ]
    turn = f", turn {row.turn + 1}" if row.turn else ""
    tau = 1 + row.accepted / row.rounds if row.rounds and row.accepted is not None else None
    return Sample(
        title=f"Prompt {row.prompt_id}{turn}",
        category=row.category,
        speedup=speedup,
        tau=tau,
        new_tokens=row.new_tokens,
        prompt=prompt,
        spans=tuple(spans),
    )
