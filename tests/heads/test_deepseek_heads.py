"""Heads with DeepSeek's latent attention: as transformers' DeepSeek-V3 attends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from head_at_work import CHAIN, speak
from head_maker import HIDDEN, VOCAB, Tiny, load_head, tiny
from transformers import DeepseekV3Config
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as theirs

from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.values import Attention
from eagle_bench.decoding.build import plain_greedy
from eagle_bench.drafters.heads.export import save_head
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.ttt import ttt_hidden, use_ttt_attention
from eagle_bench.errors import UserError
from eagle_bench.models.cache import KVCache
from eagle_bench.records.generation import Request
from tests.models.tiny_models import lean_target, tiny_model

HEADS, TOKENS = 4, 9
SIZES = {"kv_lora_rank": 10, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 6}
YARN = {
    "type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "as in DeepSeek-V3": {"q_lora_rank": 12},
    "queries at once": {"q_lora_rank": None},
    "halves": {"q_lora_rank": 12, "rope_interleave": False},
    "yarn": {"q_lora_rank": 12, "rope_scaling": YARN, "rope_theta": 50000.0},
}


def deepseek(**said: Any) -> Tiny:
    """A head whose attention is that of `theirs`, random."""
    made = tiny(draft=VOCAB)
    at = "midlayer.self_attn."
    for part in "qkv":
        del made.weights[f"{at}{part}_proj.weight"]
    made.weights |= {f"{at}{name}": value for name, value in oracle(**said).state_dict().items()}
    made.weights[f"{at}o_proj.weight"] = made.weights[f"{at}o_proj.weight"][:HIDDEN].clone()
    made.config |= {**SIZES, "num_key_value_heads": HEADS, "rms_norm_eps": 1e-6, **said}
    return made


def oracle(**said: Any) -> Any:
    """transformers' attention over the input of an EAGLE-3 layer, twice as wide as the head."""
    settings = {"hidden_size": 2 * HIDDEN, "num_attention_heads": HEADS, **SIZES, **said}
    torch.manual_seed(3)
    made = theirs.DeepseekV3Attention(config_of(settings), 0)
    for name, weight in made.named_parameters():
        weight.data = torch.randn_like(weight) * (
            0.3 if "norm" in name else weight.shape[-1] ** -0.5
        )
        weight.data += "norm" in name
    return made.eval()


def config_of(settings: dict[str, Any]) -> DeepseekV3Config:
    config = DeepseekV3Config(**settings, num_key_value_heads=HEADS, rms_norm_eps=1e-6)
    config._attn_implementation = "eager"
    return config


@pytest.mark.parametrize("kernel", [Attention.sdpa, Attention.eager])
@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_attention_is_theirs(variant: str, kernel: Attention, tmp_path: Path) -> None:
    """All tokens at once there; six and then three on the cache here."""
    said = VARIANTS[variant]
    model, head = oracle(**said), load_head(deepseek(**said).write(tmp_path), attention=kernel).head
    x = torch.randn(1, TOKENS, 2 * HIDDEN, generator=torch.Generator().manual_seed(5))
    places = torch.arange(TOKENS)[None]
    angles = theirs.DeepseekV3RotaryEmbedding(model.config)(x, places)
    hidden = torch.full((TOKENS, TOKENS), -torch.inf).triu(1)[None, None]
    expected, _ = model(x, angles, hidden)
    cache, got = KVCache(1, TOKENS), []
    for part in (slice(0, 6), slice(6, TOKENS)):
        attention = head.layers[0].self_attn
        got.append(attention(x[:, part], places[:, part], head.rope, None, cache))
        cache.advance(got[-1].shape[1])
        cache.commit_all()
    torch.testing.assert_close(torch.cat(got, 1), expected[..., :HIDDEN], atol=1e-5, rtol=1e-4)


def test_the_steps_of_the_pre_flight_are_those_of_drafting(tmp_path: Path) -> None:
    head = load_head(deepseek(q_lora_rank=12).write(tmp_path)).head
    draw = torch.Generator().manual_seed(4)
    embeds = torch.randn(1, 8, HIDDEN, generator=draw)
    features = torch.randn(1, 7, 3 * HIDDEN, generator=draw)
    with torch.no_grad():
        expected = drafted(head, embeds, features)
        use_ttt_attention(head)
        first, second = (step[0, 4] for step in ttt_hidden(head, embeds, features, 2))
    torch.testing.assert_close(torch.stack((first, second)), expected, atol=1e-5, rtol=1e-4)


def drafted(head: EagleHead, embeds: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """What the head says behind its fifth place, and behind that in its own next step."""
    cache = KVCache(1, TOKENS)
    context = head.fuse(features[:, :5])
    out = head(embeds[:, 1:6], context, torch.arange(5)[None], None, cache)[:, -1:]
    cache.commit_all()
    after = head(embeds[:, 6:7], out, torch.tensor([[5]]), None, cache)
    return torch.cat((out, after), 1)[0]


def test_it_drafts_and_what_cannot_be_is_told(tmp_path: Path) -> None:
    made = deepseek(q_lora_rank=12)
    loaded = load_head(made.write(tmp_path / "head"))
    assert loaded.report.attention == "DeepSeek MLA"
    assert loaded.report.cache_bytes_per_token == HEADS * (12 + 6) * 4
    assert loaded.report.not_understood == []
    target = lean_target(tiny_model(vocab_size=VOCAB))
    request = Request("p", [3, 5, 7, 11], 12)
    drafter = Eagle3Config(name="eagle3", path=str(tmp_path / "head"))
    [(tokens, _)] = speak(target, [request], CHAIN, drafter)
    [alone] = plain_greedy(target).generate([request])
    assert tokens == alone.tokens
    with pytest.raises(UserError, match="DeepSeek's latent attention is not written"):
        save_head(loaded.head, tmp_path / "out", "specforge")
    for change, reason in (
        ({"qk_rope_head_dim": None}, "lacks qk_rope_head_dim"),
        ({"kv_lora_rank": 11}, "kv_lora_rank = 11, but kv_a_layernorm has 10 rows"),
        ({"v_head_dim": 5}, "kv_b_proj.weight .* has shape"),
    ):
        made.config |= change
        with pytest.raises(UserError, match=reason):
            load_head(made.write(tmp_path / "other"))
        made.config |= SIZES
