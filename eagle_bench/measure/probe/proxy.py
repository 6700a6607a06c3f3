"""Proxy against true: what teacher forcing says of a drafter, and what generation says.

The proxy is the field's older way to judge a drafter: its accuracy over a given text, position
by position, with the true tokens given. Acceptance is what happens: the drafter reads its own
tokens, and a position counts only when those before it were accepted (`metrics.md` 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eagle_bench.config.pair import ProxyConfig, Text
from eagle_bench.config.values import plain
from eagle_bench.decoding.build import build_speculative
from eagle_bench.drafters.draft_model import DraftModelDrafter
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.engines.session import Loader, Session
from eagle_bench.engines.setup import Listener, chosen_prompts, prepare
from eagle_bench.errors import UserError
from eagle_bench.figures.judged import Forced, Passage
from eagle_bench.figures.proxy import ProxyResult, Sample, TokenRow, compare
from eagle_bench.figures.statistics import Sampling
from eagle_bench.measure.probe.ask import ask_head
from eagle_bench.measure.probe.passages import Passages, make_passages
from eagle_bench.measure.probe.teacher_forced import force, speaker
from eagle_bench.records.generation import Request


def run_proxy(config: ProxyConfig, loader: Loader, listener: Listener) -> ProxyResult:
    """Judge the drafter on given text, then let it draft for real on the same prompts.

    Raises
    ------
    UserError
        The drafter cannot be judged so, or the prompts hold nothing to judge it on.
    """
    _check_drafter(config)
    run = config.run()
    setup = prepare(run, chosen_prompts(run), loader, listener)
    session = setup.session
    ask_head(setup, listener)
    passages = make_passages(session, setup.prompts, config)
    text = _in_words(config, passages)
    listener.say(text["sentence"])
    drafter = session.drafter.drafter
    assert isinstance(drafter, Eagle3Drafter | DraftModelDrafter)
    asked = speaker(drafter, session.target)
    forced = [
        force(asked, session.target, each.context, each.answer, config.ttt_length)
        for each in passages.items
    ]
    listener.say(f"generating with a chain of {config.ttt_length} for {len(forced)} answers")
    chain = build_speculative(run, session.target, drafter)
    requests = [Request(each.key, each.context, config.gen_len) for each in passages.items]
    generations = {each.request.key: each for each in chain.generate(requests)}
    sampling = Sampling(config.seed, config.bootstrap_resamples, config.confidence)
    return ProxyResult(
        config=plain(config),
        text=text,
        figures=compare(passages.items, forced, generations, config.ttt_length, sampling),
        samples=_samples(config, session, passages.items, forced),
        provenance=setup.provenance,
    )


def _check_drafter(config: ProxyConfig) -> None:
    """Refuse, before anything is loaded, a drafter that is no network."""
    if not config.drafter.is_network:
        raise UserError(
            f"drafter={config.drafter.name} is no network that could be judged on a given text; "
            "the proxy needs an EAGLE head or a draft model (drafter=embedded, eagle3 or "
            "draft_model)."
        )


def _in_words(config: ProxyConfig, passages: Passages) -> dict[str, Any]:
    answers = len(passages.items)
    if passages.text is Text.dataset:
        sentence = f"Judged on the {answers} answers of dataset={config.dataset.name}"
    else:
        sentence = (
            f"Judged on the target's own greedy output, {answers} answers of at most "
            f"{config.gen_len} tokens"
        )
        if config.text is Text.auto:
            sentence += f", since dataset={config.dataset.name} has no answers"
    left_out = ", ".join(f"{count} {reason}" for reason, count in passages.left_out.items())
    return {
        "source": passages.text.value,
        "sentence": f"{sentence}; left out: {left_out}." if left_out else f"{sentence}.",
        "left_out": passages.left_out,
    }


def _samples(
    config: ProxyConfig, session: Session, passages: Sequence[Passage], forced: Sequence[Forced]
) -> list[Sample]:
    decode = _decoder(session)
    samples = []
    for passage, each in list(zip(passages, forced, strict=True))[: config.shown]:
        rows = [
            TokenRow(
                decode(int(each.tokens[place])),
                decode(int(each.choices[place])),
                [decode(int(token)) for token in each.drafted[:, place]],
                each.hits[:, place].tolist(),
            )
            for place in range(min(config.shown_tokens, len(each.tokens)))
        ]
        samples.append(Sample(passage.prompt_id, passage.turn, rows))
    return samples


def _decoder(session: Session) -> Callable[[int], str]:
    """One token as text in which spaces, line breaks and tabs are visible."""

    def decode(token: int) -> str:
        text = str(session.target.tokenizer.decode([token], skip_special_tokens=False))
        return text.replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥")

    return decode
