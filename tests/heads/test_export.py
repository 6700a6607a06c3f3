"""`eagle_bench.export`: what it writes is read back, and what it cannot write is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from head_maker import load_head, tiny
from safetensors.torch import load_file
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaForCausalLM,
    Qwen2ForCausalLM,
)

from eagle_bench import assets
from eagle_bench.drafters.heads.config import HeadConfig, MLAConfig
from eagle_bench.drafters.heads.gguf import check_writable
from eagle_bench.drafters.heads.reading import HeadReading, RopeConfig
from eagle_bench.errors import UserError
from eagle_bench.export import main
from eagle_bench.models import gguf_writer as target_file

HEAD = HeadConfig(32, 32, 4, 2, 8, 40, 60, 24)


def in_halves(rows: np.ndarray[Any, Any], heads: int) -> torch.Tensor:
    """llama.cpp's order of q and k rows back into transformers'."""
    pairs = torch.from_numpy(np.array(rows)).reshape(heads, -1, 2, rows.shape[1])
    return torch.cat((pairs[:, :, 0], pairs[:, :, 1]), dim=1).reshape(rows.shape)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    gguf = pytest.importorskip("gguf", reason="the extra `llama-cpp` is not installed")
    out = tmp_path_factory.mktemp("gguf")
    assert main(["format=gguf", f"out={out}"]) == 0
    return {name: gguf.GGUFReader(out / f"{name}.gguf") for name in ("target", "head")}


def value(reader: Any, key: str) -> Any:
    return reader.fields[key].contents()


def test_the_target_is_read_back(written: dict[str, Any]) -> None:
    reader = written["target"]
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    weights = AutoModelForCausalLM.from_pretrained(assets.TARGET, dtype=torch.float32).state_dict()
    assert len(tensors) == len(weights) - 1, "the tied lm_head is written once"
    for name, heads in (("q", 4), ("k", 2)):
        expected = weights[f"model.layers.7.self_attn.{name}_proj.weight"]
        found = in_halves(tensors[f"blk.7.attn_{name}.weight"], heads)
        assert torch.equal(found, expected)
    for name, original in {
        "token_embd": "embed_tokens",
        "output_norm": "norm",
        "blk.19.ffn_down": "layers.19.mlp.down_proj",
        "blk.3.attn_output": "layers.3.self_attn.o_proj",
    }.items():
        expected = weights[f"model.{original}.weight"].numpy()
        assert np.array_equal(tensors[f"{name}.weight"], expected)
    assert value(reader, "general.architecture") == "llama"
    assert value(reader, "llama.rope.freq_base") == 1e6
    assert value(reader, "llama.attention.head_count_kv") == 2
    assert value(reader, "tokenizer.ggml.eos_token_id") == 1
    assert value(reader, "tokenizer.ggml.tokens")[1] == "<|end|>"
    assert len(value(reader, "tokenizer.ggml.tokens")) == 768


def test_the_head_is_read_back(written: dict[str, Any]) -> None:
    reader = written["head"]
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    weights = load_file(assets.EAGLE3 / "model.safetensors")
    absolute = weights["d2t"] + torch.arange(512)
    assert tensors["d2t"].tolist() == absolute.tolist()
    for name, heads in (("q", 4), ("k", 2)):
        expected = weights[f"midlayer.self_attn.{name}_proj.weight"].float()
        assert torch.equal(in_halves(tensors[f"blk.0.attn_{name}.weight"], heads), expected)
    for name, original in {
        "fc": "fc",
        "output": "lm_head",
        "blk.0.attn_norm": "midlayer.input_layernorm",
        "blk.0.attn_norm_2": "midlayer.hidden_norm",
        "blk.0.ffn_up": "midlayer.mlp.up_proj",
    }.items():
        assert np.array_equal(
            tensors[f"{name}.weight"], weights[f"{original}.weight"].float().numpy()
        )
    assert value(reader, "eagle3.target_layers") == [2, 10, 17]
    assert value(reader, "eagle3.rope.freq_base") == 1e4, "the head's own, not the target's"
    assert value(reader, "eagle3.vocab_size") == 768
    assert value(reader, "eagle3.norm_before_residual") is False


@pytest.mark.parametrize("layout", ["safeailab", "speculators", "modelopt"])
def test_a_separate_vocabulary_map_is_merged_in(layout: str, tmp_path: Path) -> None:
    made = tiny()
    whole = load_head(made.write(tmp_path / "whole"))
    maps = {name: made.weights.pop(name) for name in ("d2t", "t2d")}
    torch.save(maps, tmp_path / "vocab_mapping.pt")
    bare = made.write(tmp_path / "epoch_1_step_100")
    out = tmp_path / "out"
    words = [f"drafter.path={bare}", f"drafter.vocab_mapping={tmp_path / 'vocab_mapping.pt'}"]
    assert main([f"format={layout}", f"out={out}", *words]) == 0
    found = load_head(str(out))
    assert found.report.format == layout
    assert whole.head.d2t is not None
    assert found.head.d2t is not None
    assert torch.equal(found.head.d2t, whole.head.d2t)
    for name, tensor in whole.head.named_parameters():
        assert torch.equal(found.head.get_parameter(name), tensor)


def test_a_map_that_is_missing_stays_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tiny()
    for name in ("d2t", "t2d"):
        del made.weights[name]
    head = made.write(tmp_path / "epoch_1_step_100")
    assert main(["format=safeailab", f"out={tmp_path / 'out'}", f"drafter.path={head}"]) == 2
    assert "drafter.vocab_mapping=FILE.pt" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "format=gguf|"),
        (["format=onnx", "out=x"], "format=gguf|"),
        (["format=gguf"], "out=DIR"),
        (["format=gguf", "out=x", "k=4"], "is no setting"),
        (["format=gguf", f"out={assets.TARGET}"], "no empty folder"),
        (["format=gguf", f"out={assets.PROMPTS}"], "no empty folder"),
    ],
)
def test_mistakes_are_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generation": 1}, "EAGLE-1/2"),
        ({"num_layers": 2}, "2 layers"),
        ({"num_features": 5}, "5 features"),
        ({"mla": MLAConfig(10)}, "MLA"),
        ({"fc_norm": True}, "EAGLE-3.1"),
        ({"reading": HeadReading(norm_output=True)}, "EAGLE-3.1"),
        ({"norm_before_fc": True}, "norm before fc"),
        ({"qk_norm": True}, "q and k norms"),
        ({"fc_bias": True}, "biases"),
        ({"reading": HeadReading(rope=RopeConfig(1e4, {"factor": 2.0}))}, "scaled RoPE"),
        ({"reading": HeadReading(rope=RopeConfig(partial=0.5))}, "part of its dimensions"),
        ({"reading": HeadReading(window=64)}, "a window"),
        ({"reading": HeadReading(own_embeddings=True)}, "own embeddings"),
        ({"own_lm_head": False}, "lm_head of its own"),
        ({"activation": "gelu"}, "gelu"),
    ],
)
def test_heads_that_llama_cpp_does_not_run_are_refused(changes: dict[str, Any], said: str) -> None:
    check_writable(HEAD)
    with pytest.raises(UserError, match=said):
        check_writable(replace(HEAD, **changes))


def test_a_layout_is_written_in_the_heads_own_dtype(tmp_path: Path) -> None:
    assert main(["format=speculators", f"out={tmp_path / 'out'}"]) == 0
    assert load_head(str(tmp_path / "out")).head.fc.weight.dtype is torch.bfloat16


def test_a_missing_package_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("eagle_bench.models.gguf_writer.find_spec", lambda name: None)
    assert main(["format=gguf", f"out={tmp_path / 'out'}"]) == 2
    assert "pip install 'eagle_bench[llama-cpp]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def small(family: Any, **changes: Any) -> Any:
    """A model of `family` with the embedded target's tokenizer and one end token."""
    config = family.config_class(
        vocab_size=768, hidden_size=32, intermediate_size=40, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, **changes,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(assets.TARGET)
    return SimpleNamespace(
        model=family(config), tokenizer=tokenizer, spec=SimpleNamespace(stops={1})
    )


@pytest.mark.parametrize(
    ("family", "changes", "said"),
    [
        (Qwen2ForCausalLM, {}, "a Qwen2ForCausalLM"),
        (LlamaForCausalLM, {"attention_bias": True}, "biases"),
        (LlamaForCausalLM, {"hidden_act": "gelu"}, "gelu"),
        (
            LlamaForCausalLM,
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
            "scaled RoPE",
        ),
    ],
)
def test_targets_that_were_not_tried_are_refused(
    family: Any, changes: dict[str, Any], said: str
) -> None:
    target_file.check_writable(small(LlamaForCausalLM))
    with pytest.raises(UserError, match=said):
        target_file.check_writable(small(family, **changes))


def test_another_tokenizer_and_several_ends_are_refused() -> None:
    several = small(LlamaForCausalLM)
    several.spec.stops = {1, 2}
    with pytest.raises(UserError, match="2 end tokens"):
        target_file.check_writable(several)
    other = small(LlamaForCausalLM)
    other.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    with pytest.raises(UserError, match="byte-level BPE"):
        target_file.check_writable(other)
