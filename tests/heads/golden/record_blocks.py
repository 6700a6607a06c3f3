"""Draft tokens of z-lab's and DeepSpec's own DFlash models, recorded for `test_dflash.py`.

Run once, with z-lab/dflash (44947fb) and deepseek-ai/DeepSpec (afdfa7c) on PYTHONPATH:

    PYTHONPATH=Z_LAB:DEEPSPEC python tests/heads/golden/record_blocks.py

Both run the layers that `record_dflash.py` saved, with a target's `lm_head` over all tokens. The
hidden states of nine boundaries are random numbers, of which each model picks its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from deepspec.modeling.dspark.common import extract_context_feature as deepspec_features
from deepspec.modeling.dspark.qwen3 import Qwen3DSparkModel
from dflash.model import DFlashDraftModel
from dflash.model import extract_context_feature as z_lab_features
from safetensors.torch import load_file
from transformers import DynamicCache, Qwen3Config

HERE = Path(__file__).parent / "dflash"
PROMPTS, BLOCK, HIDDEN, VOCAB, MASK, LAYERS = 32, 6, 32, 60, 7, 8
IDS = [0, 2, 4]


def sizes() -> dict[str, Any]:
    said = json.loads((HERE / "config.json").read_text())
    return {**said["transformer_layer_config"], "block_size": said["block_size"]}


def z_lab() -> DFlashDraftModel:
    told = {"mask_token_id": MASK, "target_layer_ids": IDS}
    config = Qwen3Config(**sizes(), dflash_config=told, num_target_layers=LAYERS)
    return filled(DFlashDraftModel(config))


def deepspec() -> Qwen3DSparkModel:
    config = Qwen3Config(
        **sizes(), mask_token_id=MASK, target_layer_ids=IDS, num_anchors=4, markov_rank=0,
        enable_confidence_head=False,
    )  # fmt: skip
    return filled(Qwen3DSparkModel(config))


def filled(model: Any) -> Any:
    """With the recorded layers, in the attention that needs no mask."""
    weights = {
        name: each
        for name, each in load_file(HERE / "model.safetensors").items()
        if name in model.state_dict() and model.state_dict()[name].shape == each.shape
    }
    missing, _ = model.load_state_dict(weights, strict=False)
    assert set(missing) <= {"embed_tokens.weight", "lm_head.weight"}, missing
    model.config._attn_implementation = "eager"
    return model.eval()


@torch.inference_mode()
def drafted(reference: str, model: Any, seed: int) -> list[int]:
    embeddings = torch.randn(VOCAB, HIDDEN, generator=torch.Generator().manual_seed(99))
    lm_head = torch.randn(VOCAB, HIDDEN, generator=torch.Generator().manual_seed(98))
    draw = torch.Generator().manual_seed(seed)
    n = 3 + seed % 9
    tokens = torch.randint(VOCAB, (1, n + 1), generator=draw)
    hidden = list(torch.randn(LAYERS + 1, 1, n, HIDDEN, generator=draw))
    block = torch.full((1, BLOCK), MASK)
    block[0, 0] = tokens[0, -1]
    told = {
        "position_ids": torch.arange(n + BLOCK)[None],
        "noise_embedding": embeddings[block],
        "past_key_values": DynamicCache(),
        "use_cache": True,
        "is_causal": False,
    }
    if reference == "z_lab":
        states = model(target_hidden=z_lab_features(hidden, model.target_layer_ids), **told)
        states = states[:, 1 - BLOCK :]
    else:
        features = deepspec_features(hidden, model.target_layer_ids)
        states = model._forward_backbone(target_hidden_states=features, **told)
    best: list[int] = (states[0] @ lm_head.T).argmax(-1).tolist()
    return best


if __name__ == "__main__":
    document = {
        name: [drafted(name, model, seed) for seed in range(PROMPTS)]
        for name, model in (("z_lab", z_lab()), ("deepspec", deepspec()))
    }
    (HERE / "layouts.json").write_text(json.dumps(document) + "\n")
