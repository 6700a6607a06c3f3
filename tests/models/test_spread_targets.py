"""A target that lies on several devices or processes gives the same tokens."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM

from eagle_bench import assets
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import Attention, DType
from eagle_bench.errors import UserError
from eagle_bench.models.load import load_target
from eagle_bench.results.collect import load_results
from tests.commands.cli import call

Launcher = Callable[..., subprocess.CompletedProcess[str]]
SETTINGS = (
    *("drafter=prompt_lookup", "decoding=adaptive", "num_samples=2", "gen_len=24", "stop=length"),
    *("tracker=none", "threads=1", "dtype=float32", "device=cpu", "measure.warmup_max=1"),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("target") / "model"
    config = LlamaConfig(
        vocab_size=768,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(assets.TARGET / name, folder)
    return folder


def in_two_processes(out: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """The command under torchrun."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    return subprocess.run(
        [*torchrun, "-m", "eagle_bench.run", *settings, f"output_dir={out}"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def tokens(launcher: Launcher, saved: Path, out: Path, *settings: str) -> list[list[int]]:
    """What the baseline said in the one run that `out` then holds."""
    done = launcher(out, "model=local", f"model.path={saved}", *SETTINGS, *settings)
    assert done.returncode == 0, done.stderr[-2000:]
    [result] = out.rglob("result.json")
    assert json.loads(result.read_text())["summary"]["lossless"]["exact_share"] == 1.0
    assert done.stdout.count("Accept Rate") == 2
    rows = load_results(result.parent).generations
    return [list(ids) for ids in rows[rows.arm == "baseline"].token_ids]


def test_device_map_and_tensor_parallel_say_what_one_device_says(
    saved: Path, tmp_path: Path
) -> None:
    alone = tokens(call, saved, tmp_path / "alone")
    assert tokens(call, saved, tmp_path / "map", "model.device_map=auto") == alone
    both = tokens(in_two_processes, saved, tmp_path / "both", "model.tensor_parallel=true")
    assert both == alone


def test_a_recurrent_target_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mamba"
    config = MambaConfig(vocab_size=768, hidden_size=32, num_hidden_layers=8, state_size=4)
    MambaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(saved / name, folder)
    model = ModelConfig(name="local", path=str(folder), attention=Attention.eager)
    with pytest.raises(UserError, match="cannot be rolled back"):
        load_target(model, DType.float32, torch.device("cpu"))


def test_a_quantised_target_without_its_package_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "quantised"
    shutil.copytree(saved, folder)
    settings = json.loads((folder / "config.json").read_text())
    settings["quantization_config"] = {"quant_method": "awq", "bits": 4, "group_size": 32}
    (folder / "config.json").write_text(json.dumps(settings))
    model = ModelConfig(name="local", path=str(folder))
    with pytest.raises(UserError, match="the weights cannot be loaded"):
        load_target(model, DType.float32, torch.device("cpu"))
