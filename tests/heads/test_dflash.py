"""DFlash heads: three layouts, each beside drafts of its own reference, and what is refused.

`golden/record_dflash.py` and `golden/record_blocks.py` recorded the drafts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from eagle_bench import assets
from eagle_bench.config.drafter import DFlashConfig, Eagle3Config, PEagleConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.drafters.build import check_head
from eagle_bench.drafters.dflash import DFlashDrafter
from eagle_bench.drafters.heads import dflash
from eagle_bench.drafters.heads.block import BlockHead
from eagle_bench.drafters.heads.blocks import block_states, use_block_attention
from eagle_bench.drafters.pick import Best
from eagle_bench.errors import UserError

GOLDEN = Path(__file__).parent / "golden" / "dflash"
DRAFTS = json.loads((GOLDEN / "drafts.json").read_text())["drafts"]
LAYOUTS = json.loads((GOLDEN / "layouts.json").read_text())
VOCAB, HIDDEN, LEVELS = 60, 32, 5
TARGET: Any = SimpleNamespace(hidden_size=HIDDEN, vocab_size=VOCAB, num_layers=8)


def load_dflash(path: str, target: Any = None) -> BlockHead:
    return dflash.load_dflash(DFlashConfig("dflash", path), target)


EMBEDDINGS = torch.randn(VOCAB, HIDDEN, generator=torch.Generator().manual_seed(99))
LM_HEAD = torch.randn(VOCAB, HIDDEN, generator=torch.Generator().manual_seed(98))


@torch.inference_mode()
def drafted(head: BlockHead, seed: int, states: bool = False) -> list[int]:
    """The most probable token of each level, behind the prompt that `seed` draws.

    `states`: it draws the hidden states of nine boundaries, of which the head reads its own.
    """
    draw = torch.Generator().manual_seed(seed)
    n = 3 + seed % 9
    tokens = torch.randint(VOCAB, (1, n + 1), generator=draw)[0].tolist()
    if states:
        hidden = torch.randn(9, 1, n, HIDDEN, generator=draw)
        features = torch.cat([hidden[layer] for layer in head.config.aux_layers], dim=-1)
    else:
        features = torch.randn(1, n, head.fc.in_features, generator=draw)
    spec = SimpleNamespace(max_positions=128, device=torch.device("cpu"))
    target: Any = SimpleNamespace(spec=spec, embed=lambda ids: EMBEDDINGS[ids])
    target.lm_head = lambda at: at @ LM_HEAD.T
    drafter = DFlashDrafter(head, target)
    drafter.start(1, 32)
    drafter.prefill(0, tokens[:-1], tokens[-1], features, "")
    level = drafter.first(Best(1)).tokens[:, :, 0]
    said = [level]
    for depth in range(1, head.config.levels):
        visible = torch.ones(1, 1, depth, dtype=torch.bool)
        level = drafter.extend(level, torch.zeros_like(level), visible, Best(1)).tokens[:, :, 0]
        said.append(level)
    return torch.cat(said, dim=1)[0].tolist()


def flat() -> dict[str, Any]:
    """The recorded head's config with its layers' sizes at the top."""
    config = json.loads((GOLDEN / "config.json").read_text())
    return {**config["transformer_layer_config"], "block_size": config["block_size"]}


def z_lab() -> dict[str, Any]:
    told = {"mask_token_id": 7, "target_layer_ids": [0, 2, 4]}
    return flat() | {"architectures": ["DFlashDraftModel"], "dflash_config": told}


def deepspec() -> dict[str, Any]:
    told = {"mask_token_id": 7, "target_layer_ids": [0, 2, 4], "markov_rank": 0}
    return flat() | {"architectures": ["Qwen3DSparkModel"]} | told


def speculators() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((GOLDEN / "config.json").read_text())
    return config


def written(config: dict[str, Any], folder: Path, without: tuple[str, ...] = ()) -> str:
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(GOLDEN / "model.safetensors")
    kept = {name: each for name, each in weights.items() if name not in without}
    save_file(kept, folder / "model.safetensors")
    return str(folder)


def test_drafts_of_speculators(tmp_path: Path) -> None:
    head = load_dflash(written(speculators(), tmp_path), TARGET)
    assert head.config.aux_layers == (1, 3, 5)
    assert head.config.levels == LEVELS
    assert len(DRAFTS) >= 24
    assert len({tuple(draft) for draft in DRAFTS}) > 20
    assert [drafted(head, seed) for seed in range(len(DRAFTS))] == DRAFTS


@pytest.mark.parametrize(("layout", "levels"), [(z_lab, LEVELS), (deepspec, LEVELS + 1)])
def test_drafts_of_the_layouts_own_model(
    layout: Callable[[], dict[str, Any]], levels: int, tmp_path: Path
) -> None:
    """Its layers of the target, its slots that draft, and the target's `lm_head`."""
    head = load_dflash(written(layout(), tmp_path, ("d2t", "t2d", "lm_head.weight")), TARGET)
    drafts = LAYOUTS[layout.__name__]
    assert head.config.levels == levels == len(drafts[0])
    assert len(drafts) >= 24
    assert len({tuple(draft) for draft in drafts}) > 20
    assert [drafted(head, seed, states=True) for seed in range(len(drafts))] == drafts


FILES: dict[str, Any] = {
    "a tensor": EMBEDDINGS[7],
    "a row": EMBEDDINGS[7:8],
    "by name": {"mask_token_id": 7, "embedding": EMBEDDINGS[7]},
}


@pytest.mark.parametrize("name", FILES)
def test_a_mask_of_the_heads_own(name: str, tmp_path: Path) -> None:
    """`mask_embedding.pt` stands in the mask's place, whatever the target has there."""
    path = written(speculators() | {"mask_token_id": VOCAB + 3}, tmp_path)
    with pytest.raises(UserError, match="mask token 63 is none of the target's 60 tokens"):
        load_dflash(path, TARGET)
    file = FILES[name] | {"mask_token_id": VOCAB + 3} if name == "by name" else FILES[name]
    torch.save(file, tmp_path / "mask_embedding.pt")
    head = load_dflash(path, TARGET)
    assert [drafted(head, seed) for seed in range(6)] == DRAFTS[:6]


@pytest.mark.parametrize(
    "file", [{"mask_token_id": 8, "embedding": EMBEDDINGS[7]}, EMBEDDINGS[:2], {}, "no tensor"]
)
def test_a_mask_that_is_none(file: Any, tmp_path: Path) -> None:
    path = written(speculators(), tmp_path)
    torch.save(file, tmp_path / "mask_embedding.pt")
    with pytest.raises(UserError, match=r"mask_embedding\.pt should hold one embedding of 32"):
        load_dflash(path, TARGET)


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in speculators().items() if name != key}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no mask": (without("mask_token_id"), "lacks mask_token_id"),
    "no layers": (without("aux_hidden_state_layer_ids"), "lacks target_layer_ids"),
    "a layer too many": (speculators() | {"aux_hidden_state_layer_ids": [1, 3, 5, 7]}, "fc reads"),
    "a layer too high": (
        speculators() | {"aux_hidden_state_layer_ids": [1, 3, 9]},
        "only 8 layers",
    ),
    "DFlash2": (speculators() | {"selector_rank": 8}, "selector_rank, which is not run"),
    "DSpark": (deepspec() | {"markov_rank": 8}, "a DSpark drafter"),
    "a window": (z_lab() | {"dflash_config": {"use_swa": True}}, "use_swa, which is not run"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_refused(fault: str, tmp_path: Path) -> None:
    config, sentence = REFUSED[fault]
    with pytest.raises(UserError, match=sentence):
        load_dflash(written(config, tmp_path), TARGET)


SHIPS = {"eagle3": assets.EAGLE3, "p_eagle": assets.P_EAGLE, "dflash": assets.DFLASH}
SETTINGS = {"eagle3": Eagle3Config, "p_eagle": PEagleConfig, "dflash": DFlashConfig}
MODEL = ModelConfig("embedded", str(assets.TARGET))


@pytest.mark.parametrize("read_as", SETTINGS)
@pytest.mark.parametrize("kind", SHIPS)
def test_a_head_of_one_kind_is_not_read_as_another(kind: str, read_as: str) -> None:
    settings: Any = SETTINGS[read_as](read_as, str(SHIPS[kind]))
    if kind == read_as:
        check_head(settings, MODEL)
    else:
        with pytest.raises(UserError, match=rf"misread as .*it runs as drafter={kind}\."):
            check_head(settings, MODEL)


@torch.inference_mode()
def test_every_block_at_once_says_what_one_draft_says(tmp_path: Path) -> None:
    """Training and pre-flight over a text see what drafting behind each place sees."""
    head = load_dflash(written(z_lab(), tmp_path), TARGET)
    embeddings = torch.randn(VOCAB, HIDDEN, generator=torch.Generator().manual_seed(99))
    use_block_attention(head)
    assert head.lm_head is not None
    assert head.target_ids is not None
    for seed in range(6):
        draw = torch.Generator().manual_seed(seed)
        n = 3 + seed % 9
        tokens = torch.randint(VOCAB, (1, n + 1), generator=draw)
        features = torch.randn(1, n, head.fc.in_features, generator=draw)
        # What lies behind the root is not seen.
        more = torch.cat((features, torch.randn(1, 2, head.fc.in_features)), dim=1)
        roots = torch.tensor([[1, n]])
        states = block_states(head, lambda ids: embeddings[ids], tokens, more, roots)
        best = head.lm_head(states[0, 1]).argmax(-1)
        assert head.target_ids[best].tolist() == DRAFTS[seed]
