"""Loading a saved folder, and what is refused before or while loading."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_families import SEEING, tiny
from tiny_models import CPU, VOCAB, tiny_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import Attention, DType, Implementation
from eagle_bench.errors import UserError
from eagle_bench.models.cache import KVCache
from eagle_bench.models.lean_target import LeanTarget
from eagle_bench.models.load import load_model, load_target, resolve_device, resolve_dtype
from eagle_bench.models.target import Step, Target

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("saved") / "tiny", "Qwen3")


def save(folder: Path, family: str, **settings: object) -> Path:
    return with_tokenizer(tiny_model(family, seed=3, eos_token_id=5, **settings), folder)


def with_tokenizer(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCAB)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w5").save_pretrained(folder)
    return folder


def load(
    path: Path | str | None,
    implementation: Implementation = Implementation.auto,
    name: str = "local",
) -> Target:
    config = ModelConfig(
        name=name, path=None if path is None else str(path), implementation=implementation
    )
    return load_target(config, DType.auto, CPU)


def test_a_saved_folder(saved: Path) -> None:
    lean, generic = load(saved), load(saved, Implementation.transformers)
    assert (lean.spec.implementation, generic.spec.implementation) == ("lean", "transformers")
    assert lean.spec.eos_ids == {5}
    assert lean.spec.aux_layers == (2, 3, 4)
    assert lean.spec.weight_bytes == 4 * lean.spec.parameters
    tokens = torch.tensor([lean.tokenizer("w3 w1 w4 w1")["input_ids"]])
    positions = torch.arange(4)[None]
    steps = [
        each.forward(tokens, positions, None, KVCache(1, 4), features=True)
        for each in (lean, generic)
    ]
    torch.testing.assert_close(steps[0].logits, steps[1].logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(steps[0].features, steps[1].features, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "wrong", "runs"),
    [
        (DType.float32, slice(0, 0), "lean"),
        (DType.float32, slice(0, 1), "transformers"),
        (DType.bfloat16, slice(0, 3), "lean"),
        (DType.bfloat16, slice(2, None), "transformers"),
    ],
)
def test_a_lean_forward_with_other_logits_is_refused_aloud(
    saved: Path, monkeypatch: pytest.MonkeyPatch, dtype: DType, wrong: slice, runs: str
) -> None:
    """In bfloat16 single positions tell nothing."""
    right = LeanTarget.forward

    @torch.inference_mode()
    def tampered(*args: Any, **kwargs: Any) -> Step:
        step = right(*args, **kwargs)
        step.logits[:, wrong] += 1.0
        return step

    monkeypatch.setattr(LeanTarget, "forward", tampered)
    target = load_target(ModelConfig("local", str(saved)), dtype, CPU)
    assert target.spec.implementation == runs
    refusals = [remark for remark in target.spec.remarks if "The lean forward gives" in remark]
    assert len(refusals) == (runs == "transformers")


def test_a_shallow_draft_model_loads(tmp_path: Path) -> None:
    folder = save(tmp_path / "draft", "Llama", num_hidden_layers=2)
    config = ModelConfig(name="draft_model", path=str(folder))
    model = load_model(config, DType.float32, CPU, key="drafter.path")
    assert model.spec.num_layers == 2


def test_auto_falls_back_where_lean_does_not_fit(tmp_path: Path) -> None:
    folder = save(tmp_path / "window", "Mistral", sliding_window=4)
    assert load(folder).spec.implementation == "transformers"
    with pytest.raises(UserError, match=r"model\.implementation=lean does not fit"):
        load(folder, Implementation.lean)


@pytest.mark.parametrize(("path", "message"), [
    (None, "needs model.path"),
    ("/no/such/folder", "does not exist"),
    ("./nothing", "does not exist"),
    ("gpt2-like", "does not exist"),
])  # fmt: skip
def test_no_such_folder(path: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(path)


def test_a_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        load(tmp_path)


def test_a_folder_without_tokenizer(saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "copy")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UserError, match="has no tokenizer files"):
        load(folder)


@pytest.mark.parametrize("family", SEEING)
def test_of_a_model_that_sees_the_text_decoder_is_measured(family: str, tmp_path: Path) -> None:
    model = tiny(family)
    spec = load(with_tokenizer(model, tmp_path)).spec
    assert f"{type(model).__name__} also sees images: its text decoder alone is measured." in (
        spec.remarks
    )
    read = {id(each) for each in model.get_decoder().parameters()} | {id(model.lm_head.weight)}
    alone = sum(each.numel() for each in model.parameters() if id(each) in read)
    assert spec.parameters == alone < sum(each.numel() for each in model.parameters())


def test_few_layers_have_no_default_features(tmp_path: Path) -> None:
    spec = load(save(tmp_path / "flat", "Llama", num_hidden_layers=2)).spec
    assert (spec.num_layers, spec.aux_layers) == (2, ())


def broken(saved: Path, to: Path, change: str) -> Path:
    folder = shutil.copytree(saved, to / "broken")
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    match change:
        case "truncated":
            file.write_bytes(whole[:-100])
        case "empty":
            file.write_bytes(b"")
        case "header":
            file.write_bytes(whole[:8] + b"x" + whole[9:])
        case "pointer":
            file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        case "no weights":
            file.unlink()
        case "config":
            (folder / "config.json").write_text("{ not json")
        case "no such type":
            (folder / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    return folder


@pytest.mark.parametrize(("change", "message"), [
    ("truncated", "truncated or corrupt"),
    ("empty", "truncated or corrupt"),
    ("header", "truncated or corrupt"),
    ("pointer", "truncated or corrupt"),
    ("no weights", "weights cannot be loaded"),
    ("config", "config cannot be loaded"),
    ("no such type", "config cannot be loaded"),
])  # fmt: skip
def test_broken_folders(saved: Path, tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(broken(saved, tmp_path, change))


def rewritten(saved: Path, to: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """A copy of `saved` whose tensors went through `change`."""
    folder = shutil.copytree(saved, to / "rewritten")
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, {"format": "pt"})
    return folder


Q_PROJ = "model.layers.3.self_attn.q_proj.weight"


@pytest.mark.parametrize(("change", "message"), [
    (lambda w: {k: v for k, v in w.items() if "layers.3.mlp" not in k},
     r"lacks model\.layers\.3\.mlp\.down_proj\.weight, .*up_proj.* of Qwen3.* random"),
    (lambda w: {k: v for k, v in w.items() if k != "lm_head.weight"}, r"lacks .*lm_head\.weight"),
    (lambda w: w | {Q_PROJ: w[Q_PROJ][:-8].clone()}, r"q_proj\.weight as \(24, 32\), .*\(32, 32\)"),
    (lambda w: w | {Q_PROJ.replace("weight", "lora_A.weight"): torch.ones(2, 32)},
     r"holds .*lora_A\.weight, .* merge the adapter"),
    (lambda w: w | {"lm_head.bias": torch.ones(VOCAB)}, r"lm_head\.bias.* does not read"),
    (lambda w: w | {f"module.{Q_PROJ}": torch.ones(32, 32)}, "one tensor under two names"),
    (lambda w: w | {f"_orig_mod.{Q_PROJ}": torch.ones(32, 32)}, "one tensor under two names"),
    (lambda w: {f"policy.{k}": v for k, v in w.items()}, r"lacks .* and \d+ more of Qwen3"),
])  # fmt: skip
def test_tensors_that_are_not_the_models(
    saved: Path,
    tmp_path: Path,
    change: Callable[[Tensors], Tensors],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Said once, and not in transformers' words."""
    with pytest.raises(UserError, match=message):
        load(rewritten(saved, tmp_path, change))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("wrapped", [
    lambda k: f"module.{k}",
    lambda k: f"module._orig_mod.{k}",
    lambda k: f"_fsdp_wrapped_module.{k.replace('.mlp.', '._fsdp_wrapped_module.mlp.')}",
    lambda k: k.replace(".mlp.", "._checkpoint_wrapped_module._orig_mod.mlp."),
])  # fmt: skip
def test_the_prefixes_of_training_wrappers_come_off(
    saved: Path, tmp_path: Path, wrapped: Callable[[str], str]
) -> None:
    folder = rewritten(saved, tmp_path, lambda w: {wrapped(k): v for k, v in w.items()})
    bare, other = (load(each).model.state_dict() for each in (saved, folder))
    assert all(torch.equal(other[name], tensor) for name, tensor in bare.items())


def test_what_is_no_part_of_the_decoder_is_remarked_on(saved: Path, tmp_path: Path) -> None:
    folder = rewritten(saved, tmp_path, lambda w: w | {"visual.blocks.0.weight": torch.ones(2)})
    [remark] = load(folder).spec.remarks
    assert "Qwen3ForCausalLM has no place for visual.blocks.0.weight" in remark
    assert load(saved).spec.remarks == ()


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "no_such_device"])
def test_unusable_devices(name: str) -> None:
    with pytest.raises(UserError, match=f"device={name} is not usable here"):
        resolve_device(name)


def test_dtypes() -> None:
    assert resolve_device("cpu") == CPU
    assert resolve_dtype(DType.auto, CPU) is torch.float32
    assert resolve_dtype(DType.bfloat16, CPU) is torch.bfloat16


def test_attention_is_passed_on(saved: Path) -> None:
    config = ModelConfig(
        name="local", path=str(saved), attention=Attention.eager,
        implementation=Implementation.transformers,
    )  # fmt: skip
    target = load_target(config, DType.float32, CPU)
    assert target.model.config._attn_implementation == "eager"
