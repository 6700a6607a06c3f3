"""Every family of targets that docs/targets.md names: the real classes, tiny and random.

Chain and tree, with drafts that are mostly wrong and drafts that are right, say what the baseline
says, and the baseline says what transformers' own `generate` says.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import CPU, VOCAB, generic_target

from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import Attention, DType, Proposal
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.draft_model import DraftModelDrafter
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.drafters.random import RandomDrafter
from eagle_bench.errors import UserError
from eagle_bench.models.family import attention_of, loader_of, positions_of
from eagle_bench.models.load import load_target
from eagle_bench.models.pieces import check_pieces
from eagle_bench.models.read import read
from eagle_bench.models.sampling import Sampling
from eagle_bench.models.transformers_target import TransformersTarget, decoder_layers
from eagle_bench.records.generation import Request

NEW = 14
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 7,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": VOCAB,
    "max_position_embeddings": 64,
    "initializer_range": 0.4,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
MOE = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
MLA = {
    "q_lora_rank": 16,
    "kv_lora_rank": 12,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "num_key_value_heads": 4,
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("Llama", {}),
    "Qwen2": ("Qwen2", {}),
    "Qwen3": ("Qwen3", {}),
    "Qwen3-MoE": ("Qwen3Moe", {**MOE, "num_experts": 4}),
    "Mistral": ("Mistral", {"sliding_window": None}),
    "Mistral, sliding window": ("Mistral", {"sliding_window": 6}),
    "Gemma": ("Gemma", {}),
    "Gemma 2": ("Gemma2", {"sliding_window": 6}),
    "Gemma 3": ("Gemma3", {"sliding_window": 6}),
    "Phi": ("Phi", {}),
    "GPT-NeoX": ("GPTNeoX", {}),
    "GPT-2": ("GPT2", {"n_inner": 48}),
    "GPT-BigCode": ("GPTBigCode", {"n_inner": 48}),
    "Falcon": ("Falcon", {}),
    "OPT": ("OPT", {"word_embed_proj_dim": 32, "ffn_dim": 48}),
    "Phi-3": ("Phi3", {"sliding_window": None}),
    "gpt-oss": ("GptOss", {**MOE, "num_local_experts": 4, "sliding_window": 6}),
    "DeepSeek-V2": ("DeepseekV2", {**MLA, **MOE, "topk_method": "greedy"}),
    "DeepSeek-V3": ("DeepseekV3", {**MLA, **MOE}),
}


EYES = {
    "num_hidden_layers": 1,
    "depth": 1,
    "num_attention_heads": 2,
    "num_heads": 2,
    "hidden_size": 32,
    "intermediate_size": 32,
    "out_hidden_size": 32,
    "image_size": 28,
    "patch_size": 14,
}
MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
SEEING: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "Qwen2.5-VL": ("Qwen2_5_VL", {"rope_parameters": MROPE}, {}),
    "Gemma 3 (4B and up)": ("Gemma3", {"sliding_window": 6}, {"mm_tokens_per_image": 4}),
}


def tiny(family: str) -> Any:
    """A random model of the family's own class."""
    if family in SEEING:
        name, text, settings = SEEING[family]
        config = getattr(transformers, f"{name}Config")(
            text_config=SIZES | text, vision_config=EYES, **settings
        )
    else:
        name, settings = FAMILIES[family]
        kind = "Gemma3Text" if name == "Gemma3" else name
        sizes = {k: size for k, size in SIZES.items() if (name, k) != ("Falcon", "head_dim")}
        config = getattr(transformers, f"{kind}Config")(**sizes | settings)
    eager = name in ("GptOss", "Gemma2", "Gemma3")
    config._attn_implementation = "eager" if eager else "sdpa"
    torch.manual_seed(5)
    model = loader_of(config)[0].from_config(config)
    return model.eval().requires_grad_(False)


def speak(
    target: TransformersTarget, drafter: Drafter, method: Tree, batch: int
) -> list[list[int]]:
    prompts = torch.randint(VOCAB, (3, 9), generator=torch.Generator().manual_seed(1)).tolist()
    requests = [Request(str(i), prompt[: 9 - 2 * i], NEW) for i, prompt in enumerate(prompts)]
    decoder = Decoder(target, drafter, method, Sampling(), ignore_eos=True)
    said = {each.request.key: each.tokens for each in decoder.generate(requests, batch)}
    return [said[request.key] for request in requests]


@pytest.mark.parametrize("family", [*FAMILIES, *SEEING])
def test_speculation_equals_the_baseline_equals_generate(family: str) -> None:
    model = tiny(family)
    target = generic_target(model)
    proposing = Proposing(Proposal.greedy, Sampling())
    baseline = speak(target, NoDrafter(), Tree("baseline", 0, 1, 0, proposing), 1)
    prompts = torch.randint(VOCAB, (3, 9), generator=torch.Generator().manual_seed(1))
    for index, said in enumerate(baseline):
        prompt = prompts[index : index + 1, : 9 - 2 * index]
        output = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW, do_sample=False
        )
        assert said == output[0, prompt.shape[1] :].tolist()
    itself = DraftModelDrafter(replace_spec(target), VOCAB)
    for drafter in (itself, RandomDrafter(VOCAB, 0, CPU)):
        for method in (Tree("chain", 3, 1, 3, proposing), Tree("tree", 3, 3, 9, proposing)):
            for batch in (1, 3):
                assert speak(target, drafter, method, batch) == baseline, (
                    drafter.name,
                    method.name,
                )


def replace_spec(target: TransformersTarget) -> TransformersTarget:
    """The same model once more, as its own draft model."""
    return TransformersTarget(target.model, target.tokenizer, replace(target.spec, name="draft"))


def test_the_page_names_the_families_of_this_table_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
    rows = "".join(line for line in page.splitlines() if line.startswith("| "))
    named = re.findall(r"`(\w+(?:ForCausalLM|LMHeadModel|ForConditionalGeneration))`", rows)
    assert len(named) == len(set(named))
    assert set(named) == {type(tiny(family)).__name__ for family in (*FAMILIES, *SEEING)}


@pytest.mark.parametrize("family", [*FAMILIES, *SEEING])
def test_features_are_the_boundaries_between_layers(family: str) -> None:
    """Before and behind the last layer, and what the output head reads."""
    model = tiny(family)
    target = generic_target(model)
    target.set_aux_layers((3, 7, 8))
    tokens = torch.arange(6)[None]
    taken: list[torch.Tensor] = []
    decoder_layers(model)[-1].register_forward_hook(lambda *call: taken.append(call[-1]))
    features = read(target, tokens, features=True).features
    states = model(tokens, output_hidden_states=True, use_cache=False).hidden_states
    behind = taken[0] if isinstance(taken[0], torch.Tensor) else taken[0][0]
    torch.testing.assert_close(features, torch.cat((states[3], behind, states[7]), -1))


@pytest.mark.parametrize(("config", "reason"), [
    (transformers.Lfm2Config(num_hidden_layers=2, layer_types=["conv", "full_attention"]),
     "cannot be rolled back"),
    (transformers.MiniMaxConfig(num_hidden_layers=4), "cannot be rolled back"),
    (transformers.DeepseekV32Config(num_hidden_layers=4), "cannot be rolled back"),
    (transformers.MambaConfig(num_hidden_layers=4), "cannot be rolled back"),
    (transformers.JambaConfig(num_hidden_layers=8), "cannot be rolled back"),
    (transformers.Llama4TextConfig(num_hidden_layers=4), "attends in chunks"),
    (transformers.T5Config(), "no decoder alone"),
    (transformers.BltConfig(), "not that of one decoder"),
    (transformers.BloomConfig(), "reads no position ids"),
    (transformers.FalconConfig(alibi=True), "reads no position ids"),
])  # fmt: skip
def test_what_cannot_be_run_is_refused_by_its_config(
    tmp_path: Path, config: transformers.PretrainedConfig, reason: str
) -> None:
    """Only config.json is there: nothing else can have been loaded."""
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=reason):
        load_target(ModelConfig(name="local", path=str(tmp_path)), DType.float32, CPU)


@pytest.mark.parametrize("family", [*FAMILIES, *SEEING])
def test_every_family_says_the_same_in_pieces(family: str) -> None:
    check_pieces(reading(tiny(family)), key="model.path", path="here")


@pytest.mark.parametrize("kind", ["Electra", "BigBird", "Bert"])
def test_an_encoder_is_refused_and_the_same_as_a_decoder_is_not(kind: str) -> None:
    """`AutoModelForCausalLM` loads both; the encoder looks ahead of the token that it predicts."""
    sizes = {**SIZES, "embedding_size": 32, "pad_token_id": 0, "attention_type": "original_full"}
    for decodes in (False, True):
        config = getattr(transformers, f"{kind}Config")(**sizes, is_decoder=decodes)
        config._attn_implementation = attention_of(config, Attention.sdpa)[0].value
        torch.manual_seed(5)
        target = reading(transformers.AutoModelForCausalLM.from_config(config).eval())
        if decodes:
            check_pieces(target, key="model.path", path="here")
        else:
            with pytest.raises(UserError, match=r"model\.path=here is a .* looks ahead"):
                check_pieces(target, key="model.path", path="here")


def test_a_forward_that_fails_is_told_in_a_sentence() -> None:
    """XLM takes no mask with branches."""
    config = transformers.XLMConfig(**SIZES | {"pad_token_id": 0, "causal": True})
    target = reading(transformers.AutoModelForCausalLM.from_config(config).eval())
    with pytest.raises(UserError, match="XLMWithLMHeadModel, whose forward does not take"):
        check_pieces(target, key="model.path", path="here")


def test_layers_in_no_one_list_are_told() -> None:
    model = tiny("Llama")
    model.model.layers = model.model.layers[:3]
    with pytest.raises(UserError, match="LlamaForCausalLM holds its 7 layers in no one list"):
        decoder_layers(model)


def reading(model: Any) -> TransformersTarget:
    """A target whose tokenizer makes some tokens of a text."""
    target = generic_target(model)
    target.tokenizer = lambda text: {"input_ids": [3 + each % 43 for each in text.encode()]}
    return target


@pytest.mark.parametrize("family", ["Gemma 2", "gpt-oss"])
def test_a_class_without_sdpa_takes_eager_and_says_so(family: str) -> None:
    attention, [remark] = attention_of(tiny(family).config, Attention.sdpa)
    assert attention is Attention.eager
    assert remark.endswith("has no sdpa attention: model.attention=eager is used.")
    assert attention_of(tiny("Llama").config, Attention.sdpa) == (Attention.sdpa, ())


def test_longrope_ends_at_its_original_context() -> None:
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
        "original_max_position_embeddings": 16,
    }
    config = transformers.Phi3Config(
        **SIZES | {"rope_parameters": rope, "original_max_position_embeddings": 16}
    )
    assert positions_of(config) == 16
    assert positions_of(transformers.Phi3Config(**SIZES)) == 64
