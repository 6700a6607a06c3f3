"""The same weights in every layout draft the same tokens and are accepted to the same length."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from head_at_work import CHAIN, TREE, speak
from head_maker import VOCAB, load_head, tiny

from eagle_bench import assets
from eagle_bench.config.decoding import DecodingConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.values import Attention
from eagle_bench.decoding.build import plain_greedy
from eagle_bench.drafters.heads.export import ARCHITECTURES, save_head
from eagle_bench.errors import UserError
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Request
from tests.models.tiny_models import lean_target, tiny_model

LAYOUTS = sorted(set(ARCHITECTURES) - {"eagle1", "safeailab"})


@pytest.fixture(scope="module", params=[CHAIN, TREE], ids=["chain", "tree"])
def expected(
    request: pytest.FixtureRequest, target: Target, requests: list[Request]
) -> tuple[DecodingConfig, list[tuple[list[int], list[int]]]]:
    said = speak(target, requests, request.param, Eagle3Config(name="embedded"))
    assert max(max(lengths) for _, lengths in said) >= 3
    return request.param, said


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_decodes_alike(
    layout: str,
    pickled: bool,
    expected: tuple[DecodingConfig, list[tuple[list[int], list[int]]]],
    target: Target,
    requests: list[Request],
    tmp_path: Path,
) -> None:
    decoding, said = expected
    head = load_head(str(assets.EAGLE3)).head
    folder = save_head(head, tmp_path / "head", layout, pickled=pickled)
    drafter = Eagle3Config(name="eagle3", path=str(folder))
    assert speak(target, requests, decoding, drafter) == said


def test_a_separate_vocabulary_map_decodes_alike(
    expected: tuple[DecodingConfig, list[tuple[list[int], list[int]]]],
    target: Target,
    requests: list[Request],
    tmp_path: Path,
) -> None:
    decoding, said = expected
    head = load_head(str(assets.EAGLE3)).head
    mapping = tmp_path / "mapping.pt"
    torch.save({"d2t": head.d2t, "t2d": head.t2d}, mapping)
    assert head.d2t is not None
    assert head.t2d is not None
    head.d2t, head.t2d = torch.zeros_like(head.d2t), torch.ones_like(head.t2d)
    folder = save_head(head, tmp_path / "epoch_1_step_12528", "specforge")
    drafter = Eagle3Config(name="eagle3", path=str(folder), vocab_mapping=str(mapping))
    assert speak(target, requests, decoding, drafter) == said


@pytest.mark.parametrize("attention", [Attention.eager, Attention.flex_attention])
def test_every_attention_decodes_alike(
    attention: Attention,
    expected: tuple[DecodingConfig, list[tuple[list[int], list[int]]]],
    target: Target,
    requests: list[Request],
) -> None:
    decoding, said = expected
    drafter = Eagle3Config(name="embedded", attention=attention)
    assert speak(target, requests, decoding, drafter) == said


def test_a_target_of_two_layers_serves_a_head_that_is_told_its_layers(tmp_path: Path) -> None:
    target = lean_target(tiny_model(num_hidden_layers=2, vocab_size=VOCAB))
    request = Request("p", [3, 5, 7, 11], 12)
    drafter = Eagle3Config(name="eagle3", path=tiny().write(tmp_path / "head"))
    with pytest.raises(UserError, match="drafter.aux_layers"):
        speak(target, [request], CHAIN, drafter)
    [(tokens, _)] = speak(target, [request], CHAIN, replace(drafter, aux_layers=[0, 1, 2]))
    [alone] = plain_greedy(target).generate([request])
    assert tokens == alone.tokens
