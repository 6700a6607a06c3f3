"""Teacher-forced figures of the embedded pair against training's, generation's and by hand."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.drafter import (
    DrafterConfig,
    DraftModelConfig,
    Eagle3Config,
    PromptLookupConfig,
)
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.pair import ProxyConfig, Text
from eagle_bench.config.training import Eagle3TrainingConfig
from eagle_bench.data.loader import load_prompts
from eagle_bench.decoding.build import build_speculative
from eagle_bench.drafters.heads.ttt import use_ttt_attention
from eagle_bench.engines.session import Loader, Session
from eagle_bench.errors import UserError
from eagle_bench.figures.judged import Forced, Passage
from eagle_bench.figures.proxy import compare
from eagle_bench.figures.statistics import Sampling
from eagle_bench.measure.probe.passages import make_passages
from eagle_bench.measure.probe.proxy import run_proxy
from eagle_bench.measure.probe.teacher_forced import force, speaker
from eagle_bench.models.cache import KVCache
from eagle_bench.records.generation import Generation, Request, Round
from eagle_bench.training.eagle3 import ttt_loss

STEPS = 4
LOADER = Loader()


class Heard(list[str]):
    def say(self, line: str) -> None:
        self.append(line)

    def phase(self, what: str) -> AbstractContextManager[None]:
        return nullcontext()


def settings(drafter: DrafterConfig | None = None, **given: Any) -> ProxyConfig:
    dataset = DatasetConfig(name="embedded")
    common = {"num_samples": 2, "ttt_length": STEPS, "gen_len": 40, "threads": 1}
    return ProxyConfig(
        **{
            "model": ModelConfig(name="embedded"),
            "drafter": drafter or Eagle3Config(name="embedded"),
            "dataset": dataset,
            **common,
            **given,
        }
    )


def loaded(config: ProxyConfig) -> Session:
    return LOADER.session(config.run())


@cache
def passages(text: Text) -> tuple[Passage, ...]:
    config = settings(text=text)
    prompts = load_prompts(config.dataset, config.num_samples, 0)
    return make_passages(loaded(config), prompts, config).items


def forced_by(drafter: DrafterConfig, passage: Passage) -> Forced:
    session = loaded(settings(drafter))
    asked = speaker(session.drafter.drafter, session.target)  # type: ignore[arg-type]
    return force(asked, session.target, passage.context, passage.answer, STEPS)


def test_the_datasets_answers_are_whole_assistant_turns() -> None:
    session = loaded(settings())
    for passage in passages(Text.dataset):
        assert passage.answer[-1] in session.target.spec.eos_ids
        assert session.chat.decode(passage.answer).strip()
    [first, _] = load_prompts(DatasetConfig(name="embedded"), 2, 0).prompts
    assert session.chat.decode(passages(Text.dataset)[0].answer) == first.reference[0]


def test_accuracy_and_loss_are_the_trainings() -> None:
    passage = passages(Text.dataset)[0]
    forced = forced_by(Eagle3Config(name="embedded"), passage)
    session = loaded(settings())
    drafter, target = session.drafter.drafter, session.target
    ids = torch.tensor([[*passage.context, *passage.answer]])
    places = torch.arange(ids.shape[1])[None]
    weights = (torch.arange(ids.shape[1] - 1) >= len(passage.context) - 1).float()[None]
    head = drafter.head.variant(drafter.head.config.reading)  # type: ignore[attr-defined]
    use_ttt_attention(head)
    config = Eagle3TrainingConfig(name="eagle3", ttt_length=STEPS, step_decay=1.0)
    with torch.inference_mode():
        seen = target.forward(ids, places, None, KVCache(1, ids.shape[1]), features=True)
        assert seen.features is not None
        features, logits = seen.features[:, :-1], seen.logits[:, :-1]
        total, figures = ttt_loss(head, target.embed(ids), features, logits, weights, config)
    assert len(forced.tokens) == len(passage.answer)
    for step in range(STEPS):
        assert forced.hits[step].mean() == pytest.approx(figures[f"accuracy_{step}"])
    mine = forced.losses[:, forced.counted].mean(axis=1).sum()
    assert mine == pytest.approx(float(total), rel=1e-4)


@pytest.mark.parametrize("name", ["embedded", "draft_model"])
def test_on_the_targets_own_text_the_rounds_of_a_chain_follow_from_it(name: str) -> None:
    """Where the text is what is generated, right positions are accepted tokens."""
    kind = Eagle3Config if name == "embedded" else DraftModelConfig
    config = settings(kind(name=name))
    session = loaded(config)
    chain = build_speculative(config.run(), session.target, session.drafter.drafter)
    for passage in passages(Text.target):
        hits = forced_by(config.drafter, passage).hits
        request = Request("", passage.context, config.gen_len)
        [generation] = chain.generate([request])
        assert generation.tokens == passage.answer
        place, rounds = 1, []
        while place < len(passage.answer):
            run = 0
            while run < STEPS and place + run < hits.shape[1] and hits[run, place + run]:
                run += 1
            rounds.append(run)
            place += run + 1
        assert generation.accept_lengths[:-1] == rounds[:-1]
        assert max(rounds) == STEPS
        assert min(rounds) < STEPS


def test_a_draft_model_says_the_same_at_every_position() -> None:
    forced = forced_by(DraftModelConfig(name="draft_model"), passages(Text.dataset)[0])
    assert (forced.drafted == forced.drafted[0]).all()
    assert forced.hits[0].mean() > 0.5
    assert forced.counted.all()


def test_features_of_other_layers_cost_accuracy() -> None:
    right, wrong = (
        np.concatenate([forced_by(drafter, each).losses for each in passages(Text.dataset)], axis=1)
        for drafter in (
            Eagle3Config(name="embedded"),
            Eagle3Config(name="embedded", aux_layers=[1, 5, 9]),
        )
    )
    assert wrong.mean() > right.mean() + 0.25


def synthetic(hits: list[list[int]], accepted: list[int]) -> tuple[Forced, Generation]:
    """A drafter with these hits, every loss 0.5, and a chain of two that accepted so much."""
    right = np.array(hits, dtype=np.int64)
    n = right.shape[1]
    counted = np.ones(n, dtype=bool)
    forced = Forced(np.ones(n, int), np.ones(n, int), right, np.full(right.shape, 0.5), counted)
    generation = Generation(Request("", [1], 9), tokens=[1] * (1 + sum(accepted) + len(accepted)))
    generation.rounds = [Round(0, 0, 2, 2, each) for each in accepted]
    return forced, generation


def test_figures_by_hand() -> None:
    items = [Passage("a", 0, [1], [1]), Passage("b", 0, [1], [1])]
    pairs = [
        synthetic([[1, 1, 0, 1], [1, 0, 1, 1]], [2, 0, 1]),
        synthetic([[1, 0, 1, 0], [0, 0, 1, 1]], [0, 2]),
    ]
    made = {each.key: pair[1] for each, pair in zip(items, pairs, strict=True)}
    found = compare(items, [pair[0] for pair in pairs], made, 2, Sampling(0, 200, 0.95))
    first, second = found.positions
    assert (found.prompts, found.tokens, found.rounds) == (2, 8, 5)
    assert first.accuracy.value == pytest.approx(5 / 8)
    assert second.accuracy.value == pytest.approx(5 / 8)
    assert first.accuracy_given.value == first.accuracy.value
    # Chains right at position 1 with a token behind: a at 0 and 1, b at 0 and 2.
    assert second.accuracy_given.value == pytest.approx(2 / 4)
    assert first.acceptance.value == pytest.approx(3 / 5)
    assert second.acceptance.value == pytest.approx(2 / 3)
    assert first.difference.value == pytest.approx(3 / 5 - 5 / 8)
    assert first.loss.value == pytest.approx(0.5)
    assert found.tau_predicted.value == pytest.approx(1 + 5 / 8 + 25 / 64)
    assert found.tau_given.value == pytest.approx(1 + 5 / 8 + 5 / 16)
    assert found.tau_measured.value == pytest.approx((5 + 5) / 5)
    assert found.tau_ratio.value == pytest.approx(2 / (1 + 5 / 8 + 25 / 64))
    assert first.accuracy.low is first.accuracy.high is None  # Of two prompts.


def test_a_whole_run_and_its_json() -> None:
    heard = Heard()
    result = run_proxy(settings(shown=1, shown_tokens=5), LOADER, heard)
    document = json.loads(json.dumps(result.plain()))
    assert document["text"]["source"] == "dataset"
    assert [each["position"] for each in document["figures"]["positions"]] == [1, 2, 3, 4]
    assert document["figures"]["tau_measured"]["value"] > 2.5
    assert 0.9 < document["figures"]["followed"] <= 1.0
    [sample] = document["samples"]
    assert len(sample["rows"]) == 5
    assert {len(row["drafted"]) for row in sample["rows"]} == {STEPS}
    assert any("Judged on the 2 answers of dataset=embedded." in line for line in heard)


def write(folder: Path, *rows: dict[str, Any]) -> DatasetConfig:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DatasetConfig(name="jsonl", path=str(file))


def test_without_answers_the_targets_own_output_is_the_text(tmp_path: Path) -> None:
    dataset = write(tmp_path, {"prompt": "Name a color."})
    heard = Heard()
    result = run_proxy(settings(dataset=dataset), LOADER, heard)
    assert result.text["source"] == "target"
    assert "since dataset=jsonl has no answers" in result.text["sentence"]
    assert result.figures.followed == 1.0
    with pytest.raises(UserError, match="text=target"):
        run_proxy(settings(dataset=dataset, text=Text.dataset), LOADER, heard)


def test_conversations_give_every_assistant_turn(tmp_path: Path) -> None:
    talk = [("human", "Say A."), ("gpt", "A is said."), ("human", "And B?"), ("gpt", "B too.")]
    turns = [{"from": role, "value": text} for role, text in talk]
    dataset = write(tmp_path, {"conversations": turns}, {"conversations": turns[:1]})
    dataset.multi_turn = True
    config = settings(dataset=dataset)
    session = loaded(config)
    found = make_passages(session, load_prompts(dataset, 2, 0), config)
    assert [session.chat.decode(each.answer) for each in found.items] == ["A is said.", "B too."]
    assert found.left_out == {"no answer": 1}
    second = session.target.tokenizer.decode(found.items[1].context)
    assert "A is said." in second
    assert second.index("A is said.") < second.index("And B?")


def test_drafters_without_a_network_are_refused_before_loading() -> None:
    config = settings(PromptLookupConfig(name="prompt_lookup"))
    with pytest.raises(UserError, match="drafter=prompt_lookup is no network"):
        run_proxy(config, Loader(), Heard())


def test_long_contexts_are_left_out_and_answers_cut() -> None:
    prompts = load_prompts(DatasetConfig(name="embedded"), 2, 0)
    session = loaded(settings())
    lengths = [len(each.context) for each in passages(Text.dataset)]
    config = settings(max_tokens=max(lengths))
    found = make_passages(session, prompts, config)
    [left] = found.items
    assert len(left.context) == min(lengths)
    assert len(left.context) + len(left.answer) <= config.max_tokens
    assert found.left_out == {"longer than max_tokens": 1}
