"""Draft tokens of speculators' own P-EAGLE model, recorded for `test_p_eagle_golden.py`.

Run once, in an environment with `speculators==0.9.0` (not this project's):

    python tests/heads/golden/record_p_eagle.py

A tiny random head is saved by speculators itself. For each of the prompts (random tokens and
features of a numbered generator) the model runs the prompt with `LEVELS` slots behind it, at the
anchor and depths that drafting uses in place of its random training sample, and the most probable
token of each slot is recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import torch
from speculators.config import SpeculatorsConfig, VerifierConfig
from speculators.models.peagle import core
from speculators.models.peagle.config import PEagleSpeculatorConfig
from speculators.proposals.greedy import GreedyTokenProposalConfig
from transformers import LlamaConfig

HERE = Path(__file__).parent
PROMPTS, LEVELS, HIDDEN, VOCAB, DRAFT = 32, 5, 32, 60, 40


@torch.inference_mode()
def made() -> core.PEagleDraftModel:
    torch.manual_seed(0)
    layer = LlamaConfig(
        hidden_size=HIDDEN, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, vocab_size=VOCAB, max_position_embeddings=128,
        attn_implementation="eager",
    )  # fmt: skip
    config = PEagleSpeculatorConfig(
        transformer_layer_config=layer,
        draft_vocab_size=DRAFT,
        norm_before_residual=True,
        eagle_aux_hidden_state_layer_ids=[1, 3, 5],
        mask_token_id=7,
        speculators_config=SpeculatorsConfig(
            algorithm="peagle",
            proposal_methods=[GreedyTokenProposalConfig(speculative_tokens=LEVELS)],
            default_proposal_method="greedy",
            verifier=VerifierConfig(name_or_path=None, architectures=[]),
        ),
    )
    model = core.PEagleDraftModel(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0.0, 0.3)
    for block in model.layers:
        block.self_attn.o_proj.weight *= 8.0
    ids = torch.randperm(VOCAB)[:DRAFT].sort().values
    seen = torch.zeros(VOCAB, dtype=torch.bool)
    seen[ids] = True
    model.load_vocab_mappings(seen, ids - torch.arange(DRAFT))
    return model.eval()


@torch.inference_mode()
def drafted(model: core.PEagleDraftModel, seed: int) -> list[int]:
    draw = torch.Generator().manual_seed(seed)
    n = 3 + seed % 9
    tokens = torch.randint(VOCAB, (1, n), generator=draw)
    features = torch.randn(1, n, 3 * HIDDEN, generator=draw)
    # What lies behind the prompt is never read: the anchor is its last place.
    width = n + LEVELS
    tokens = torch.nn.functional.pad(tokens, (0, LEVELS))
    features = torch.nn.functional.pad(features, (0, 0, 0, LEVELS))
    slots = torch.arange(1, LEVELS)
    anchors = torch.cat((torch.arange(width), torch.full_like(slots, n - 1)))
    depths = torch.cat((torch.zeros(width, dtype=torch.int64), slots))
    logits: list[torch.Tensor] = []
    hook = model.lm_head.register_forward_hook(lambda *given: logits.append(given[2]))
    sample = mock.patch.object(core, "generate_cod_sample_indices", return_value=(anchors, depths))
    with sample, mock.patch.object(core, "compute_metrics", return_value=(None, {})):
        model.forward(
            features, tokens, torch.zeros(1, width, dtype=torch.int64),
            verifier_last_hidden_states=torch.zeros(1, width, HIDDEN), num_depths=LEVELS,
        )  # fmt: skip
    hook.remove()
    best = logits[0][0, [n - 1, *range(width, width + LEVELS - 1)]].argmax(-1)
    return (best + model.d2t[best]).tolist()


if __name__ == "__main__":
    head = made()
    head.save_pretrained(HERE / "p_eagle")
    (HERE / "p_eagle" / "config.py").unlink()
    drafts = [drafted(head, seed) for seed in range(PROMPTS)]
    document = {"reference": "speculators 0.9.0", "drafts": drafts}
    (HERE / "p_eagle" / "drafts.json").write_text(json.dumps(document) + "\n")
