"""DFlash heads: three layouts, the drafts of speculators' own model, and what is refused.

`golden/record_dflash.py` recorded the drafts.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eagle_bench.config.drafter import DFlashConfig, Eagle3Config
from eagle_bench.drafters.dflash import DFlashDrafter
from eagle_bench.drafters.heads import dflash
from eagle_bench.drafters.heads.block import BlockHead
from eagle_bench.drafters.heads.blocks import block_states, use_block_attention
from eagle_bench.drafters.heads.load import load_head
from eagle_bench.drafters.pick import Best
from eagle_bench.errors import UserError

GOLDEN = Path(__file__).parent / "golden" / "dflash"
DRAFTS = json.loads((GOLDEN / "drafts.json").read_text())["drafts"]
VOCAB, HIDDEN, LEVELS = 60, 32, 5
TARGET: Any = SimpleNamespace(hidden_size=HIDDEN, vocab_size=VOCAB, num_layers=8)


def load_dflash(path: str, target: Any = None) -> BlockHead:
    return dflash.load_dflash(DFlashConfig("dflash", path), target)


@torch.inference_mode()
def drafted(head: BlockHead, seed: int) -> list[int]:
    """The most probable token of each level, behind the prompt that `seed` draws."""
    embeddings = torch.randn(VOCAB, HIDDEN, generator=torch.Generator().manual_seed(99))
    draw = torch.Generator().manual_seed(seed)
    n = 3 + seed % 9
    tokens = torch.randint(VOCAB, (1, n + 1), generator=draw)[0].tolist()
    features = torch.randn(1, n, head.fc.in_features, generator=draw)
    spec = SimpleNamespace(max_positions=128, device=torch.device("cpu"))
    target: Any = SimpleNamespace(spec=spec, embed=lambda ids: embeddings[ids])
    target.lm_head = head.lm_head
    drafter = DFlashDrafter(head, target)
    drafter.start(1, 32)
    drafter.prefill(0, tokens[:-1], tokens[-1], features, "")
    level = drafter.first(Best(1)).tokens[:, :, 0]
    said = [level]
    for depth in range(1, LEVELS):
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
    told = {"mask_token_id": 7, "target_layer_ids": [0, 2, 4]}
    return flat() | {"architectures": ["Qwen3DFlashModel"]} | told


def speculators() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((GOLDEN / "config.json").read_text())
    return config


def written(config: dict[str, Any], folder: Path) -> str:
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(GOLDEN / "model.safetensors", folder)
    return str(folder)


@pytest.mark.parametrize("layout", [speculators, z_lab, deepspec])
def test_drafts_of_the_reference(layout: Callable[[], dict[str, Any]], tmp_path: Path) -> None:
    head = load_dflash(written(layout(), tmp_path), TARGET)
    assert head.config.aux_layers == (1, 3, 5)
    assert head.config.levels == LEVELS
    assert len(DRAFTS) >= 24
    assert len({tuple(draft) for draft in DRAFTS}) > 20
    assert [drafted(head, seed) for seed in range(len(DRAFTS))] == DRAFTS


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
    "DSpark": (speculators() | {"markov_rank": 8}, "a DSpark drafter"),
    "a window": (z_lab() | {"dflash_config": {"use_swa": True}}, "use_swa, which is not run"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_refused(fault: str, tmp_path: Path) -> None:
    config, sentence = REFUSED[fault]
    with pytest.raises(UserError, match=sentence):
        load_dflash(written(config, tmp_path), TARGET)


def test_a_head_of_one_kind_is_not_read_as_another(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="DFlash"):
        load_head(Eagle3Config("eagle3", written(z_lab(), tmp_path)))
    with pytest.raises(UserError, match="holds no DFlash head but a P-EAGLE drafter"):
        load_dflash(str(GOLDEN.parent / "p_eagle"))


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
