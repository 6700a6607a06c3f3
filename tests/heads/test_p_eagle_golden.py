"""P-EAGLE drafts what speculators' own model drafts; `golden/record_p_eagle.py` recorded it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eagle_bench.config.drafter import PEagleConfig
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.load import load_head
from eagle_bench.drafters.p_eagle import PEagleDrafter
from eagle_bench.drafters.pick import Best

GOLDEN = Path(__file__).parent / "golden" / "p_eagle"
DRAFTS = json.loads((GOLDEN / "drafts.json").read_text())["drafts"]


@torch.inference_mode()
def drafted(head: EagleHead, seed: int, levels: int) -> list[int]:
    """The most probable token of each level, behind the prompt that `seed` draws."""
    draw = torch.Generator().manual_seed(seed)
    n = 3 + seed % 9
    tokens = torch.randint(head.config.vocab_size, (1, n), generator=draw)[0].tolist()
    features = torch.randn(1, n, head.fc.in_features, generator=draw)
    spec = SimpleNamespace(max_positions=128, device=torch.device("cpu"))
    target: Any = SimpleNamespace(spec=spec, embed=None)
    drafter = PEagleDrafter(head, target, levels)
    drafter.start(1, 32)
    drafter.prefill(0, [0, *tokens[:-1]], tokens[-1], features, "")
    level = drafter.first(Best(1)).tokens[:, :, 0]
    said = [level]
    for depth in range(1, levels):
        visible = torch.ones(1, 1, depth, dtype=torch.bool)
        level = drafter.extend(level, torch.zeros_like(level), visible, Best(1)).tokens[:, :, 0]
        said.append(level)
    return torch.cat(said, dim=1)[0].tolist()


def as_specforge(folder: Path) -> Path:
    """The recorded head in SpecForge's layout: the sizes at the top of the config."""
    config = json.loads((GOLDEN / "config.json").read_text())
    kept = ("draft_vocab_size", "norm_before_residual", "mask_token_id")
    flat = config["transformer_layer_config"] | {key: config[key] for key in kept}
    (folder / "config.json").write_text(json.dumps(flat | {"architectures": ["PEagleDraftModel"]}))
    shutil.copy(GOLDEN / "model.safetensors", folder)
    return folder


@pytest.mark.parametrize("layout", ["speculators", "specforge"])
def test_drafts_of_the_reference(layout: str, tmp_path: Path) -> None:
    folder = GOLDEN if layout == "speculators" else as_specforge(tmp_path)
    loaded = load_head(PEagleConfig("p_eagle", str(folder)))
    assert loaded.report.format == layout
    assert len(DRAFTS) >= 24
    assert len({tuple(draft) for draft in DRAFTS}) > 20
    assert [drafted(loaded.head, seed, 5) for seed in range(len(DRAFTS))] == DRAFTS


def test_a_level_does_not_depend_on_how_many_follow() -> None:
    head = load_head(PEagleConfig("p_eagle", str(GOLDEN))).head
    for seed in range(8):
        assert drafted(head, seed, 3) == DRAFTS[seed][:3]
