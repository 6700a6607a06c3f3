"""Draft tokens of speculators' own DFlash model, recorded for `test_dflash.py`.

Run once, in an environment with `speculators==0.9.0` (not this project's):

    python tests/heads/golden/record_dflash.py

A tiny random head is saved by speculators itself. For each of the prompts (random tokens and
features of a numbered generator) the model runs one block behind the prompt, at the anchor that
drafting uses in place of its random training sample, and the most probable token of each slot
behind the anchor is recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import torch
from speculators.config import SpeculatorsConfig, VerifierConfig
from speculators.models.dflash import core
from speculators.models.dflash.config import DFlashSpeculatorConfig
from speculators.proposals.greedy import GreedyTokenProposalConfig
from transformers import Qwen3Config

HERE = Path(__file__).parent
PROMPTS, BLOCK, HIDDEN, VOCAB, DRAFT = 32, 6, 32, 60, 40


@torch.inference_mode()
def made() -> core.DFlashDraftModel:
    torch.manual_seed(0)
    layer = Qwen3Config(
        hidden_size=HIDDEN, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, vocab_size=VOCAB, max_position_embeddings=128,
        attn_implementation="eager",
    )  # fmt: skip
    config = DFlashSpeculatorConfig(
        transformer_layer_config=layer,
        draft_vocab_size=DRAFT,
        block_size=BLOCK,
        aux_hidden_state_layer_ids=[1, 3, 5],
        mask_token_id=7,
        speculators_config=SpeculatorsConfig(
            algorithm="dflash",
            proposal_methods=[GreedyTokenProposalConfig(speculative_tokens=BLOCK - 1)],
            default_proposal_method="greedy",
            verifier=VerifierConfig(name_or_path=None, architectures=[]),
        ),
    )
    with mock.patch.object(core, "resolve_verifier_norm_class", return_value=core.Qwen3RMSNorm):
        model = core.DFlashDraftModel(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0.0, 0.3)
    for block in model.layers:
        # Sharp attention, so that a slot's place decides what it says.
        block.self_attn.o_proj.weight *= 8.0
        block.self_attn.q_norm.weight *= 12.0
        block.self_attn.k_norm.weight *= 4.0
    ids = torch.randperm(VOCAB)[:DRAFT].sort().values
    seen = torch.zeros(VOCAB, dtype=torch.bool)
    seen[ids] = True
    model.load_vocab_mappings(seen, ids - torch.arange(DRAFT))
    draw = torch.Generator().manual_seed(99)
    model.embed_tokens.weight.copy_(torch.randn(VOCAB, HIDDEN, generator=draw))
    return model.eval()


@torch.inference_mode()
def drafted(model: core.DFlashDraftModel, seed: int) -> list[int]:
    draw = torch.Generator().manual_seed(seed)
    n = 3 + seed % 9
    tokens = torch.randint(VOCAB, (1, n + 1), generator=draw)
    features = torch.randn(1, n, 3 * HIDDEN, generator=draw)
    # What lies behind the anchor, the last token, is never read.
    width = n + 2 * BLOCK
    tokens = torch.nn.functional.pad(tokens, (0, width - n - 1))
    features = torch.nn.functional.pad(features, (0, 0, 0, width - n))
    anchor = (torch.tensor([n]), torch.tensor([True]))
    logits: list[torch.Tensor] = []
    hook = model.lm_head.register_forward_hook(lambda *given: logits.append(given[2]))
    with mock.patch.object(core, "select_anchors", return_value=anchor):
        model._backbone_forward(
            features, tokens, torch.ones(1, width), torch.zeros(1, width, HIDDEN),
            torch.zeros(1, width, dtype=torch.int64), max_anchors=1,
        )  # fmt: skip
    hook.remove()
    best = logits[0][0, 1:].argmax(-1)
    return (best + model.d2t[best]).tolist()


if __name__ == "__main__":
    head = made()
    head.save_pretrained(HERE / "dflash")
    (HERE / "dflash" / "config.py").unlink(missing_ok=True)
    drafts = [drafted(head, seed) for seed in range(PROMPTS)]
    document = {"reference": "speculators 0.9.0", "drafts": drafts}
    (HERE / "dflash" / "drafts.json").write_text(json.dumps(document) + "\n")
