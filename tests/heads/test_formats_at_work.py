"""The same weights in every layout draft the same tokens and are accepted to the same length."""

from pathlib import Path

import pytest
import torch
from head_maker import load_head

from eagle_bench import assets
from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig, DecodingConfig, TreeConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import Attention, DType, Proposal
from eagle_bench.data.chat import chat_format, opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.build import build_drafter
from eagle_bench.drafters.heads.export import ARCHITECTURES, save_head
from eagle_bench.models.load import load_target
from eagle_bench.models.sampling import Sampling
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Request

CHAIN = ChainConfig(name="chain", draft_len=4)
TREE = TreeConfig(name="tree", depth=4, top_k=3, num_draft_tokens=10)
LAYOUTS = sorted(set(ARCHITECTURES) - {"eagle1", "safeailab"})


@pytest.fixture(scope="module")
def target() -> Target:
    model = ModelConfig(name="embedded")
    return load_target(model, DType.float32, torch.device("cpu"))


@pytest.fixture(scope="module")
def requests(target: Target) -> list[Request]:
    chat = chat_format(target.tokenizer, "auto", None)
    prompts = load_prompts(DatasetConfig(name="embedded"), 4, 0).prompts
    return [Request(prompt.id, chat.encode(opening(prompt)), 40) for prompt in prompts]


def speak(
    target: Target, requests: list[Request], decoding: DecodingConfig, drafter: Eagle3Config
) -> list[tuple[list[int], list[int]]]:
    """(tokens, accept lengths) of each request through the loop of a run."""
    built = build_drafter(drafter, decoding, target, DType.float32)
    greedy = Sampling()
    proposing = Proposing(Proposal.greedy, greedy)
    if isinstance(decoding, TreeConfig):
        method = Tree("tree", decoding.depth, decoding.top_k, decoding.num_draft_tokens, proposing)
    else:
        method = Tree("chain", 4, 1, 4, proposing)
    decoder = Decoder(target, built.drafter, method, greedy)
    said = {each.request.key: each for each in decoder.generate(requests)}
    return [
        (said[each.key].tokens, [round_.accepted for round_ in said[each.key].rounds])
        for each in requests
    ]


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
