"""A thousand broken inputs: each is taken, or refused in one sentence that names it."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.data.loader import load_prompts
from eagle_bench.drafters.heads.load import load_head
from eagle_bench.errors import UserError
from eagle_bench.launch.command import hydra_command
from eagle_bench.models.load import target_shape

EXCEPTION = re.compile(r"\b[A-Z]\w*(?:Error|Exception|Warning)\b")
TARGET: Any = SimpleNamespace(hidden_size=16, vocab_size=24, num_layers=12)
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2**40, 0.5, -2.5, 1e300, "", "auto", "null", "é\x1b[31m\x00", "1"),
    *([], [1, 2, 3], [-1, 10**12], ["x", None], {}, {"a": {"b": 1}}, "x" * 3000),
)


def taken_or_refused(make: Callable[[], object], *names: str) -> bool:
    """Whether it was taken; else the refusal is one sentence with one of `names` in it."""
    try:
        make()
    except UserError as error:
        sentence = str(error)
        assert len(sentence.splitlines()) == 1, sentence
        assert any(name in sentence for name in names), sentence
        assert not EXCEPTION.search(sentence), sentence
        return False
    return True


def head_tensors(random: Random) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(random.randrange(1000))
    shapes = {
        "fc.weight": (16, 48),
        "midlayer.self_attn.q_proj.weight": (16, 32),
        "midlayer.self_attn.k_proj.weight": (8, 32),
        "midlayer.self_attn.v_proj.weight": (8, 32),
        "midlayer.self_attn.o_proj.weight": (16, 16),
        "midlayer.mlp.gate_proj.weight": (20, 16),
        "midlayer.mlp.up_proj.weight": (20, 16),
        "midlayer.mlp.down_proj.weight": (16, 20),
        "midlayer.input_layernorm.weight": (16,),
        "midlayer.hidden_norm.weight": (16,),
        "midlayer.post_attention_layernorm.weight": (16,),
        "norm.weight": (16,),
        "lm_head.weight": (12, 16),
    }
    made = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    made["d2t"] = torch.arange(12)
    made["t2d"] = torch.arange(24) % 2 == 0
    return made


HEAD_CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLMEagle3"],
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 24,
    "draft_vocab_size": 12,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 512,
}


def broken_tensors(random: Random) -> dict[str, torch.Tensor]:
    made = head_tensors(random)
    for _ in range(random.randint(0, 2)):
        name = random.choice(list(made))
        value = made.pop(name)
        made |= random.choice(
            (
                {},
                {name.replace("weight", "wieght"): value},
                {f"module.{name}": value},
                {name: value[: len(value) // 2]},
                {name: value[None]},
                {name: value.flatten()[:0]},
                {name: value.to(torch.int8)},
                {name: value.double()},
                {name: torch.full_like(value, 127)},
                {name: value.float() * torch.nan},
                {name: value, f"model.{name}": value.clone()},
            )
        )
    return made


def spoilt(content: bytes, random: Random) -> bytes:
    """The file as a bad disk or a hand may leave it."""
    at = random.randrange(max(1, len(content)))
    return random.choice(
        (
            content,
            content[:at],
            content[:at] + bytes([random.randrange(256)]) + content[at + 1 :],
            b"",
            b"\xff\xfe" + content,
            b"\x00" * 40,
            b"[" * 5000,
        )
    )


@pytest.mark.parametrize("block", range(4))
def test_heads(block: int, tmp_path: Path) -> None:
    taken = 0
    for number in range(100):
        random = Random(f"head {block} {number}")
        folder = tmp_path / f"head{number}"
        folder.mkdir()
        config = dict(HEAD_CONFIG)
        for _ in range(random.randint(0, 2)):
            key = random.choice([*config, "rope_scaling", "head_dim", "eagle_config", "dtype"])
            config[key] = random.choice(ODD)
        weights, document = save(broken_tensors(random)), json.dumps(config).encode()
        if random.random() < 0.2:
            weights = spoilt(weights, random)
        if random.random() < 0.2:
            document = spoilt(document, random)
        (folder / "model.safetensors").write_bytes(weights)
        (folder / "config.json").write_bytes(document)
        settings = Eagle3Config(name="eagle3", path=str(folder))
        names = (str(folder), ".json", "safetensors", "drafter.", "fc ", *head_tensors(random))
        names += tuple(HEAD_CONFIG)
        taken += taken_or_refused(lambda s=settings: load_head(s, TARGET), *names)  # type: ignore[misc]
    assert 0 < taken < 100


TARGET_CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "num_hidden_layers": 3,
    "vocab_size": 24,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "eos_token_id": 2,
    "hidden_act": "silu",
}
OTHERS = (
    *("rope_scaling", "rope_parameters", "layer_types", "sliding_window", "auto_map", "dtype"),
    *("text_config", "vision_config", "quantization_config", "is_decoder", "tie_word_embeddings"),
)
FAMILIES = ("qwen2", "gemma3", "gpt2", "bert", "t5", "nonsense", "qwen2_5_vl", "mamba", "blt")


def test_target_configs(tmp_path: Path) -> None:
    taken = 0
    for number in range(100):
        random = Random(f"target {number}")
        folder = tmp_path / f"target{number}"
        folder.mkdir()
        config = dict(TARGET_CONFIG)
        for _ in range(random.randint(0, 2)):
            config[random.choice([*config, *OTHERS])] = random.choice(ODD)
        if random.random() < 0.2:
            config["model_type"] = random.choice(FAMILIES)
        document = json.dumps(config).encode()
        if random.random() < 0.2:
            document = spoilt(document, random)
        (folder / "config.json").write_bytes(document)
        model = ModelConfig(name="local", path=str(folder))
        taken += taken_or_refused(lambda s=model: target_shape(s), str(folder))  # type: ignore[misc]
    assert 0 < taken < 100


ROWS: tuple[dict[str, Any], ...] = (
    {"prompt": "Say it."},
    {"question_id": 81, "category": "writing", "turns": ["One.", "Two."]},
    {"conversations": [{"from": "human", "value": "Hello."}, {"from": "gpt", "value": "Hi."}]},
    {"messages": [{"role": "system", "content": "Be."}, {"role": "user", "content": "Do."}]},
    {"instruction": "Add.", "input": "1, 2", "output": "3"},
)


def broken_row(random: Random) -> Any:
    row = json.loads(json.dumps(random.choice(ROWS)))
    inside = row
    while True:
        key = random.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        if not isinstance(inside[key], dict | list) or not inside[key] or random.random() < 0.4:
            break
        inside = inside[key]
    if isinstance(inside, dict) and random.random() < 0.3:
        inside[f"{key}s"] = inside.pop(key)
    else:
        inside[key] = random.choice(ODD)
    return random.choice((row, row, row, row, random.choice(ODD)))


@pytest.mark.parametrize("block", range(4))
def test_prompt_files(block: int, tmp_path: Path) -> None:
    taken = 0
    for number in range(100):
        random = Random(f"prompts {block} {number}")
        rows = [random.choice(ROWS) for _ in range(3)]
        rows[random.randrange(3)] = broken_row(random)
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        if random.random() < 0.3:
            content = spoilt(content, random)
        path = tmp_path / f"prompts{number}.{random.choice(('jsonl', 'json', 'csv', 'jsonl'))}"
        path.write_bytes(content)
        settings = DatasetConfig(name="jsonl", path=str(path))
        taken += taken_or_refused(lambda s=settings: load_prompts(s, 8, 0), str(path))  # type: ignore[misc]
    assert 0 < taken < 100


KEYS = (
    *("gen_len", "num_samples", "seed", "threads", "device", "dtype", "stop", "batch_size"),
    *("output", "name", "limit_s", "repeats", "decoding.draft_len", "decoding.temperature"),
    *("model.path", "drafter.path", "dataset.path", "dataset.shuffle", "measure.remeasure"),
    *("measure.bootstrap_resamples", "tracker.mode", "compile", "model.revision", "gen_length"),
    *("decoding", "model", "drafter", "dataset", "tracker", "engine", "sweep", "+new.key"),
)
VALUES = (
    *("", "-1", "0", "1", "2.5", "1e99", "abc", "null", "true", "[1,2]", "{a: 1}", "'", "a,b"),
    *("${gen_len}", "${nothing}", "${oc.env:NOTHING_SET}", "é", "x" * 300, "[", "a=b", "nan", "~"),
)


@pytest.mark.parametrize("block", range(2))
@pytest.mark.filterwarnings("ignore")
def test_command_lines(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reached: list[RunConfig] = []
    command = hydra_command(reached.append, "config")
    refused = 0
    for number in range(50):
        random = Random(f"line {block} {number}")
        typed = [
            f"{random.choice(KEYS)}={random.choice(VALUES)}" for _ in range(random.randint(1, 2))
        ]
        if random.random() < 0.1:
            typed.append(random.choice(("--wrong", "gen_len", "=", "-x", "~dataset", "++gen_len=")))
        monkeypatch.setattr(sys, "argv", ["run", *typed, f"output_dir={tmp_path / str(number)}"])
        try:
            with warnings.catch_warnings():
                command()
            code = 0
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr().err
        assert code in (0, 2), (typed, said)
        if code:
            refused += 1
            assert "Traceback" not in said, (typed, said)
            assert not EXCEPTION.search(said), (typed, said)
            names = [part for item in typed for part in re.split(r"\W+", item) if part]
            assert any(part in said for part in (*names, *typed)), (typed, said)
    assert refused
    assert reached
