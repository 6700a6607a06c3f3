"""Everything a user can get wrong about a head is refused in one sentence that names it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from head_maker import DRAFT, HIDDEN, INNER, VOCAB, Tiny, load_head, tiny

from eagle_bench.drafters.heads.export import save_head
from eagle_bench.errors import UserError


@dataclass
class Target:
    hidden_size: int = HIDDEN
    vocab_size: int = VOCAB
    num_layers: int = 12


def without(*names: str) -> Callable[[Tiny], None]:
    def change(made: Tiny) -> None:
        for name in names:
            del made.weights[name]

    return change


def tensor(name: str, value: torch.Tensor) -> Callable[[Tiny], None]:
    return lambda made: made.weights.update({name: value})


def config(**values: Any) -> Callable[[Tiny], None]:
    return lambda made: made.config.update(values)


def poisoned(made: Tiny) -> None:
    made.weights["midlayer.mlp.up_proj.weight"][3, 4] = float("nan")


def repeated(made: Tiny) -> None:
    made.weights["d2t"][1] = made.weights["d2t"][0] - 1


def absolute_within(made: Tiny) -> None:
    """Ids low enough that, taken for offsets, they stay inside the vocabulary."""
    made.weights["t2d"] = torch.arange(VOCAB) < DRAFT
    made.weights["d2t"] = torch.arange(DRAFT)


def wrapped_twice(made: Tiny) -> None:
    made.weights["_orig_mod.fc.weight"] = made.weights["fc.weight"] * 2


def absolute(made: Tiny) -> None:
    made.weights["d2t"] = made.weights["d2t"] + torch.arange(DRAFT)
    made.weights["d2t"][-1] = VOCAB - 1


def half_renamed(made: Tiny) -> None:
    made.weights = {k.replace("midlayer.", "decoder."): v for k, v in made.weights.items()}


def deepseek(made: Tiny) -> None:
    at = "midlayer.self_attn."
    for part in ("q_proj", "k_proj", "v_proj"):
        del made.weights[f"{at}{part}.weight"]
    made.weights[f"{at}q_a_proj.weight"] = torch.ones(8, 2 * HIDDEN)
    made.weights[f"{at}kv_a_proj_with_mqa.weight"] = torch.ones(12, 2 * HIDDEN)
    made.weights[f"{at}kv_b_proj.weight"] = torch.ones(64, 8)


def twice_in_two_layouts(made: Tiny) -> None:
    made.weights["layers.0.mlp.up_proj.weight"] = torch.ones(INNER, HIDDEN)


def fused(made: Tiny) -> None:
    parts = [made.weights.pop(f"midlayer.self_attn.{part}_proj.weight") for part in "qkv"]
    made.weights["midlayer.self_attn.qkv_proj.weight"] = torch.cat(parts)


def experts(made: Tiny) -> None:
    for part in ("gate_proj", "up_proj", "down_proj"):
        tensor = made.weights.pop(f"midlayer.mlp.{part}.weight")
        made.weights[f"midlayer.mlp.experts.0.{part}.weight"] = tensor


FAULTS: dict[str, tuple[Callable[[Tiny], None], str]] = {
    "unknown keys": (half_renamed, r"match no EAGLE head format.*nearest: decoder\.self_attn"),
    "no o_proj": (without("midlayer.self_attn.o_proj.weight"), r"lacks .*o_proj"),
    "no lm_head": (without("lm_head.weight", "norm.weight"), r"lacks .*norm\.weight"),
    "DeepSeek's MLA without its sizes": (deepseek, r"lacks qk_nope_head_dim, qk_rope_head_dim"),
    "fused q, k and v": (fused, r"missing .*q_proj\.weight \(nearest: .*qkv_proj"),
    "experts": (experts, r"missing .*gate_proj\.weight \(nearest: .*experts\.0"),
    "sinks": (
        tensor("midlayer.self_attn.sinks", torch.ones(4)),
        r"holds layers\.0\.self_attn\.sinks, which the heads that are run here do not have",
    ),
    "a scale of a quantised tensor": (
        tensor("fc.weight_scale", torch.ones(HIDDEN, 1)),
        r"holds fc\.weight_scale, which",
    ),
    "quantised": (
        tensor("midlayer.mlp.up_proj.weight", torch.ones(INNER, HIDDEN, dtype=torch.int8)),
        r"up_proj\.weight .* stored as int8; quantised heads",
    ),
    "float8": (
        tensor("fc.weight", torch.ones(HIDDEN, 3 * HIDDEN).to(torch.float8_e4m3fn)),
        r"fc\.weight .* stored as float8_e4m3fn",
    ),
    "two layouts": (twice_in_two_layouts, r"layers\.0\.mlp\.up.* and midlayer\.mlp\.up.*keep one"),
    "NaN": (poisoned, r"mlp\.up_proj\.weight .* holds NaN"),
    "zeros": (
        tensor("lm_head.weight", torch.zeros(DRAFT, HIDDEN)),
        r"lm_head\.weight .* all zeros",
    ),
    "misshapen": (tensor("norm.weight", torch.ones(HIDDEN + 1)), r"norm\.weight .* shape \[33\]"),
    "d2t outside": (
        tensor("d2t", torch.full((DRAFT,), VOCAB, dtype=torch.int64)),
        r"d2t points outside the vocabulary of 60",
    ),
    "d2t absolute": (absolute, r"d2t points outside.*absolute ids"),
    "d2t repeated": (repeated, r"d2t names 1 target ids more than once"),
    "d2t absolute inside": (absolute_within, r"d2t holds absolute ids"),
    "one key twice": (wrapped_twice, r"fc\.weight twice, as .*_orig_mod\.fc\.weight"),
    "d2t short": (
        tensor("d2t", torch.zeros(DRAFT - 1, dtype=torch.int64)),
        r"d2t has shape \[23\]",
    ),
    "d2t of floats": (tensor("d2t", torch.zeros(DRAFT)), r"d2t holds torch\.float32"),
    "no map": (without("d2t", "t2d"), r"vocabulary map .* missing .*drafter\.vocab_mapping"),
    "wrong draft_vocab_size": (config(draft_vocab_size=25), r"draft_vocab_size = 25, but lm_head"),
    "wrong head_dim": (config(head_dim=16), r"head_dim = 64, but q_proj has 32 rows"),
    "no vocab_size": (lambda made: made.config.pop("vocab_size"), r"lacks vocab_size"),
    "unknown rope": (config(rope_scaling={"type": "spiral"}), r"unknown rope_type 'spiral'"),
    "another speculator": (config(speculators_model_type="medusa"), r"'medusa'"),
    "last state only": (config(eagle_config={"use_aux_hidden_state": False}), r"last hidden state"),
    "unknown activation": (config(hidden_act="swirl"), r"unknown activation: swirl"),
    "window without a width": (config(layer_types=["sliding_attention"]), r"sliding_window=None"),
    "chunks": (config(layer_types=["chunked_attention"]), r"layer_types=\['chunked_attention'\]"),
    "rope of others": (
        config(rope_parameters={"sliding_attention": {"rope_theta": 5.0}}),
        r"for sliding_attention, but its layers are full_attention",
    ),
    "aux ids": (
        config(eagle_aux_hidden_state_layer_ids="2,6"),
        r"layer_ids='2,6'; it should be a list of layer numbers",
    ),
    "a word for a number": (
        config(rope_parameters={"full_attention": {"rope_theta": "1e6"}}),
        r"rope_parameters\.full_attention\.rope_theta='1e6'; it should be a number above 0",
    ),
    "a list for a table": (config(eagle_config=[1]), r"eagle_config=\[1\]; it should be a table"),
    "odd heads": (config(num_key_value_heads=3), r"no multiple of num_key_value_heads=3"),
    "yarn without a factor": (config(rope_scaling={"type": "yarn"}), r"of type yarn cannot be"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_checkpoints(fault: str, tmp_path: Path) -> None:
    made = tiny()
    change, message = FAULTS[fault]
    change(made)
    with pytest.raises(UserError, match=message):
        load_head(made.write(tmp_path))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target(hidden_size=64), "width 32, but this one has width 64"),
        (Target(vocab_size=400), "60 tokens, but this one has 400"),
        (Target(vocab_size=50), "60 tokens, but this one has 50 and the head drafts ids up to 5"),
        (Target(num_layers=6), "has 6 layers, but EAGLE-3 needs at least 7"),
    ],
)
def test_a_head_for_another_target(target: Target, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_head(tiny().write(tmp_path), target=target)


def test_aux_layers_beyond_the_target(tmp_path: Path) -> None:
    path = tiny().write(tmp_path)
    with pytest.raises(UserError, match=r"\[2, 6, 30\], but the target has only 12"):
        load_head(path, target=Target(), aux_layers=[2, 6, 30])
    with pytest.raises(UserError, match="reads 3 hidden states, but 2 aux layers"):
        load_head(path, target=Target(), aux_layers=[2, 6])


def test_the_decoupled_rope_is_refused(tmp_path: Path) -> None:
    made = tiny(mla=True)
    made.config["mla_rope_dim"] = 64
    with pytest.raises(UserError, match="mla_rope_dim > 0"):
        load_head(made.write(tmp_path))


def test_a_full_model(tmp_path: Path) -> None:
    layer = {k: v for k, v in tiny().weights.items() if k.startswith("midlayer.")}
    weights = {
        f"model.layers.{i}.{name.removeprefix('midlayer.')}": value
        for i in range(3)
        for name, value in layer.items()
    }
    with pytest.raises(UserError, match="full language model"):
        load_head(Tiny(weights, tiny().config).write(tmp_path))


OTHERS: dict[str, Callable[[Tiny], None]] = {
    "DSpark": tensor("markov_head.markov_w1.weight", torch.ones(VOCAB, 4)),
    "MTP": tensor("model.layers.61.eh_proj.weight", torch.ones(HIDDEN, 2 * HIDDEN)),
    "Medusa": config(medusa_num_heads=3),
    "Hydra": config(hydra_num_heads=3),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_drafters_are_refused_by_name(name: str, tmp_path: Path) -> None:
    made = tiny()
    OTHERS[name](made)
    with pytest.raises(UserError, match=f"holds a {name} drafter"):
        load_head(made.write(tmp_path))


def test_a_lora(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="LoRA"):
        load_head(str(tmp_path))


def test_folders_without_a_head(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is empty"):
        load_head(str(tmp_path))
    with pytest.raises(UserError, match="does not exist"):
        load_head(str(tmp_path / "nowhere"))
    tiny().write(tmp_path / "epoch_1_step_2")
    with pytest.raises(UserError, match="give one of its folders: epoch_1_step_2"):
        load_head(str(tmp_path))
    with pytest.raises(UserError, match="is a file; give the folder"):
        load_head(str(tmp_path / "epoch_1_step_2" / "model.safetensors"))


def test_weights_without_a_config(tmp_path: Path) -> None:
    path = tiny().write(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match=r"no config\.json"):
        load_head(path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        load_head(path)


def test_half_a_sharded_checkpoint(tmp_path: Path) -> None:
    path = tiny().write(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "model-1-of-2.safetensors")
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(UserError, match="lacks 1 of its 2 shards: model-2-of-2"):
        load_head(path)
    index.write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(UserError, match="outside its folder"):
        load_head(path)


def test_files_of_two_checkpoints(tmp_path: Path) -> None:
    for epoch in (1, 2):
        path = tiny(seed=epoch).write(tmp_path)
        (tmp_path / "model.safetensors").rename(tmp_path / f"epoch{epoch}.safetensors")
    with pytest.raises(UserError, match=r"several of epoch1\.safetensors, epoch2\.safetensors"):
        load_head(path)


@pytest.mark.parametrize("pickled", [False, True])
def test_truncated_weights(pickled: bool, tmp_path: Path) -> None:
    path = tiny().write(tmp_path, pickled=pickled)
    file = tmp_path / ("pytorch_model.bin" if pickled else "model.safetensors")
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match="truncated or corrupt"):
        load_head(path)


class Hostile:
    """Unpickling this makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "training_state.pt", "map.pt"])
def test_code_in_a_pickle_is_not_run(name: str, tmp_path: Path) -> None:
    mark, folder = tmp_path / "owned", tmp_path / "head"
    made = tiny()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(made.config))
    torch.save({"d2t": Hostile(mark)}, folder / name)
    message = "never unpickled" if name == "training_state.pt" else "not executed"
    mapping = None
    if name == "map.pt":
        made.write(folder)
        mapping = str(folder / name)
    with pytest.raises(UserError, match=message):
        load_head(str(folder), vocab_mapping=mapping)
    assert not mark.exists()
    torch.load(folder / name, weights_only=False)
    assert mark.exists()


def test_todays_specforge_is_told_its_export(tmp_path: Path) -> None:
    folder = tmp_path / "run-step100"
    folder.mkdir()
    (folder / "training_state.pt").write_bytes(b"\x80\x04")
    with pytest.raises(UserError, match="specforge export --to hf --checkpoint run-step100"):
        load_head(str(folder))


def test_bad_mapping_files(tmp_path: Path) -> None:
    path = tiny().write(tmp_path / "head")
    with pytest.raises(UserError, match="is no file"):
        load_head(path, vocab_mapping=str(tmp_path / "nowhere.pt"))
    torch.save({"x": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="neither d2t nor t2d but x"):
        load_head(path, vocab_mapping=str(tmp_path / "other.pt"))


def test_layouts_that_cannot_express_a_head(tmp_path: Path) -> None:
    head = load_head(tiny(norm_output=True).write(tmp_path / "head")).head
    with pytest.raises(UserError, match="cannot hold an EAGLE-3 head"):
        save_head(head, tmp_path / "out", "eagle1")
    with pytest.raises(UserError, match="no layout 'gguf'"):
        save_head(head, tmp_path / "out", "gguf")
