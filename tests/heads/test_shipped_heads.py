"""The heads that ship are whole and say what they were made of."""

from __future__ import annotations

import json

import pytest
import torch

from eagle_bench import assets
from eagle_bench.config.drafter import SHIPPED, DFlashConfig, Eagle3Config, PEagleConfig
from eagle_bench.drafters.heads.dflash import load_dflash
from eagle_bench.drafters.heads.load import load_head


@pytest.mark.parametrize("name", sorted(set(SHIPPED) - {"embedded_dflash"}))
def test_a_shipped_head_loads_by_its_name(name: str) -> None:
    settings = PEagleConfig if name == "embedded_p_eagle" else Eagle3Config
    loaded = load_head(settings(name))
    assert loaded.report.missing == loaded.report.unexpected == []
    assert loaded.head.fc.weight.dtype is torch.bfloat16
    recipe = json.loads((SHIPPED[name] / "recipe.json").read_text())
    assert recipe["parameters"] == loaded.report.parameters
    assert recipe["sources"]["target"]


def test_the_shipped_dflash_head_loads_by_its_name() -> None:
    head = load_dflash(DFlashConfig("embedded_dflash"))
    assert head.fc.weight.dtype is torch.bfloat16
    recipe = json.loads((SHIPPED["embedded_dflash"] / "recipe.json").read_text())
    assert recipe["parameters"] == sum(weight.numel() for weight in head.parameters())
    assert recipe["sources"] == json.loads((assets.P_EAGLE / "recipe.json").read_text())["sources"]


def test_the_head_for_smollm2_has_its_shapes() -> None:
    config = load_head(Eagle3Config("smollm2")).config
    assert (config.hidden_size, config.vocab_size, config.draft_vocab_size) == (576, 49152, 8192)
    assert config.features_of(30) == (2, 15, 27)
    size = sum(file.stat().st_size for file in assets.SMOLLM2_EAGLE3.iterdir())
    assert size < 25e6
