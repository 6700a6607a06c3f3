"""Every format of the same weights gives the same head; exports load back identical."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from head_maker import DRAFT, HIDDEN, VOCAB, Tiny, load_head, tiny, tiny_eagle1
from safetensors.torch import save_file
from torch import Tensor

from eagle_bench.drafters.heads.export import save_head
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.load import LoadedHead
from eagle_bench.drafters.heads.reading import RopeConfig


@dataclass
class Target:
    hidden_size: int = HIDDEN
    vocab_size: int = VOCAB
    num_layers: int = 12


def outputs(head: EagleHead) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    features = torch.randn(1, 5, 3 * head.config.target_hidden_size, generator=draw)
    embeds = torch.randn(1, 5, HIDDEN, generator=draw)
    with torch.inference_mode():
        state = head(embeds, head.fuse(features), torch.arange(5)[None])
        state = head(embeds, state, torch.arange(5)[None] + 1)
        logits = head.logits(state)
        return state, logits, head.to_target(logits.argmax(-1))


def renamed(made: Tiny, old: str, new: str) -> dict[str, Tensor]:
    return {name.replace(old, new): tensor for name, tensor in made.weights.items()}


def as_specforge(made: Tiny, root: Path) -> str:
    weights = {k: v for k, v in made.weights.items() if "embed" not in k}
    config = made.config | {"architectures": ["LlamaForCausalLMEagle3"]}
    path = Tiny(weights, config).write(root / "epoch_1_step_12528")
    (root / "epoch_1_step_12528" / "training_state.pt").write_bytes(b"no pickle at all")
    return path


def as_angelslim(made: Tiny, root: Path) -> str:
    config = made.config | {"architectures": ["Eagle3LlamaForCausalLM"], "rope_theta": 10000}
    return Tiny(made.weights, config).write(root / "angelslim")


def as_speculators(made: Tiny, root: Path) -> str:
    weights = renamed(made, "midlayer.", "layers.0.")
    weights["embed_tokens.weight"] = torch.full((VOCAB, HIDDEN), float("nan"))
    weights["verifier_norm.weight"] = torch.ones(HIDDEN)
    own = ("draft_vocab_size", "architectures")
    config = {
        "architectures": ["Eagle3Speculator"],
        "speculators_model_type": "eagle3",
        "draft_vocab_size": made.config["draft_vocab_size"],
        "norm_before_residual": False,
        "target_hidden_size": None,
        "transformer_layer_config": {k: v for k, v in made.config.items() if k not in own},
    }
    return Tiny(weights, config).write(root / "speculators")


def as_modelopt(made: Tiny, root: Path) -> str:
    weights = renamed(made, "midlayer.", "layers.0.")
    del weights["t2d"]
    config = made.config | {
        "architectures": ["LlamaForCausalLMEagle3"],
        "num_hidden_layers": 32,
        "eagle_config": {"eagle_aux_hidden_state_layer_ids": [1, 5, 8]},
    }
    return Tiny(weights, config).write(root / "modelopt")


def as_sharded(made: Tiny, root: Path) -> str:
    folder = Path(made.write(root / "sharded"))
    (folder / "model.safetensors").unlink()
    names = sorted(made.weights)
    halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: made.weights[name].clone() for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return str(folder)


def as_bin(made: Tiny, root: Path) -> str:
    return made.write(root / "bin", pickled=True)


def as_transformers5(made: Tiny, root: Path) -> str:
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    return Tiny(made.weights, made.config | {"rope_parameters": rope}).write(root / "v5")


LAYOUTS: dict[str, tuple[Callable[[Tiny, Path], str], str]] = {
    "specforge": (as_specforge, "specforge"),
    "angelslim": (as_angelslim, "angelslim"),
    "speculators": (as_speculators, "speculators"),
    "modelopt": (as_modelopt, "modelopt"),
    "sharded": (as_sharded, "safeailab"),
    "bin": (as_bin, "safeailab"),
    "transformers 5": (as_transformers5, "safeailab"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_weights_give_the_same_head(layout: str, tmp_path: Path) -> None:
    made = tiny()
    write, name = LAYOUTS[layout]
    expected = load_head(made.write(tmp_path / "plain"), target=Target())
    got = load_head(write(made, tmp_path), target=Target())
    assert got.report.format == name
    assert got.report.aux_layers == [2, 6, 9]
    assert got.report.coverage == DRAFT / VOCAB
    for mine, theirs in zip(outputs(got.head), outputs(expected.head), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    "prefix",
    ["model.", "draft_model.", "module.draft_model.", "_orig_mod.", "module._orig_mod.model."],
)
def test_trainers_prefixes_are_taken_off(prefix: str, tmp_path: Path) -> None:
    made = tiny()
    wrapped = Tiny({prefix + k: v for k, v in made.weights.items()}, made.config)
    expected = load_head(made.write(tmp_path / "plain"))
    got = load_head(wrapped.write(tmp_path / "wrapped"))
    assert torch.equal(outputs(got.head)[1], outputs(expected.head)[1])


@pytest.mark.parametrize("mla", [False, True])
def test_a_specforge_mla_or_gqa_head_needs_no_map_inside(mla: bool, tmp_path: Path) -> None:
    """The map lies beside it; the buffers are missing, or as SpecForge initialises them."""
    made = tiny(mla=mla)
    mapping = tmp_path / "map.pt"
    torch.save({"d2t": made.weights["d2t"], "t2d": made.weights["t2d"]}, mapping)
    expected = load_head(made.write(tmp_path / "plain"))
    for name, buffers in {
        "absent": {},
        "unfilled": {
            "d2t": torch.zeros(DRAFT, dtype=torch.int64),
            "t2d": torch.ones(VOCAB, dtype=torch.bool),
        },
    }.items():
        rest = {k: v for k, v in made.weights.items() if k not in ("d2t", "t2d")}
        path = as_specforge(Tiny(rest | buffers, made.config), tmp_path / name)
        got = load_head(path, vocab_mapping=str(mapping))
        assert got.report.attention == ("MLA" if mla else "GQA")
        assert got.reading.reasons["mapped"] == "d2t of drafter.vocab_mapping"
        assert torch.equal(outputs(got.head)[2], outputs(expected.head)[2])


def test_t2d_alone_is_enough(tmp_path: Path) -> None:
    made = tiny()
    expected = load_head(made.write(tmp_path / "plain"))
    del made.weights["d2t"]
    got = load_head(made.write(tmp_path / "t2d"))
    assert torch.equal(outputs(got.head)[2], outputs(expected.head)[2])
    assert got.report.missing == ["d2t"]


def test_the_order_of_the_draft_vocabulary_carries_no_meaning(tmp_path: Path) -> None:
    made = tiny()
    expected = load_head(made.write(tmp_path / "plain")).head
    order = torch.randperm(DRAFT, generator=torch.Generator().manual_seed(1))
    ids = (torch.arange(DRAFT) + made.weights["d2t"])[order]
    made.weights["lm_head.weight"] = made.weights["lm_head.weight"][order]
    made.weights["d2t"] = ids - torch.arange(DRAFT)
    got = load_head(made.write(tmp_path / "by frequency"))
    assert got.report.warnings == load_head(tiny().write(tmp_path / "again")).report.warnings
    assert torch.equal(outputs(got.head)[2], outputs(expected)[2])


def test_wrappers_inside_a_key_are_taken_off(tmp_path: Path) -> None:
    made = tiny()
    expected = load_head(made.write(tmp_path / "plain"))
    keys = {k: k.replace("midlayer.", "midlayer._fsdp_wrapped_module.") for k in made.weights}
    wrapped = Tiny({keys[k]: v for k, v in made.weights.items()}, made.config)
    got = load_head(wrapped.write(tmp_path / "wrapped"))
    assert torch.equal(outputs(got.head)[1], outputs(expected.head)[1])


def test_equal_vocabularies_need_no_map(tmp_path: Path) -> None:
    made = tiny(draft=VOCAB)
    assert not {"d2t", "t2d"} & set(made.weights)
    head = load_head(made.write(tmp_path)).head
    ids = torch.arange(VOCAB)
    assert torch.equal(head.to_target(ids), ids)


def test_to_target_is_the_offset_rule(tmp_path: Path) -> None:
    made = tiny()
    head = load_head(made.write(tmp_path)).head
    marked = made.weights["t2d"].nonzero()[:, 0]
    assert torch.equal(head.to_target(torch.arange(DRAFT)), marked)


@pytest.mark.parametrize(
    ("ids", "nested", "layers"),
    [
        ([1, 5, 8], True, [2, 6, 9]),
        ([2, 6, 9], True, [2, 6, 9]),
        ([1, 5, 8], False, [2, 6, 9]),
        ([2, 6, 9], False, [2, 6, 9]),
        ([1, 4, 7], True, [2, 5, 8]),
        ([3, 5, 10], False, [3, 5, 10]),
        (None, False, [2, 6, 9]),
    ],
)
def test_aux_layers_of_both_conventions(
    ids: list[int] | None, nested: bool, layers: list[int], tmp_path: Path
) -> None:
    made = tiny()
    key = "eagle_aux_hidden_state_layer_ids"
    made.config["architectures"] = ["LlamaForCausalLMEagle3"]
    if ids:
        made.config |= {"eagle_config": {key: ids}} if nested else {key: ids}
    path = made.write(tmp_path)
    assert load_head(path, target=Target()).report.aux_layers == layers
    overridden = load_head(path, target=Target(), aux_layers=[0, 1, 11])
    assert overridden.reading.aux_layers == (0, 1, 11)
    assert overridden.reading.reasons["aux_layers"] == "drafter.aux_layers"


def test_norm_output_is_feedback_whatever_the_folder_is_called(tmp_path: Path) -> None:
    made = tiny(norm_output=True)
    plain = load_head(made.write(tmp_path / "plain"))
    specforge = load_head(as_specforge(made, tmp_path))
    once = load_head(tiny().write(tmp_path / "without"))
    for loaded in (plain, specforge):
        assert any("drafter.norm_output=false" in each for each in loaded.report.warnings)
        assert torch.equal(outputs(loaded.head)[1], outputs(plain.head)[1])
        assert not torch.equal(outputs(loaded.head)[1], outputs(once.head)[1])
    told = load_head(as_specforge(made, tmp_path), norm_output=False)
    assert not any("norm_output" in each for each in told.report.warnings)
    assert torch.equal(outputs(told.head)[1], outputs(once.head)[1])


def test_a_deepspec_head_reads_five_outputs(tmp_path: Path) -> None:
    made = tiny(draft=VOCAB, qk_norm=True)
    weights = renamed(made, "midlayer.", "layers.0.")
    weights["fc.weight"] = torch.randn(HIDDEN, 5 * HIDDEN)
    config = {k: v for k, v in made.config.items() if k != "draft_vocab_size"}
    config |= {"architectures": ["Qwen3Eagle3Model"], "target_layer_ids": [1, 3, 5, 7, 9]}
    loaded = load_head(Tiny(weights, config).write(tmp_path), target=Target())
    assert loaded.report.format == "deepspec"
    assert loaded.report.aux_layers == [2, 4, 6, 8, 10]
    assert loaded.config.qk_norm
    assert loaded.config.generation == 3


@pytest.mark.parametrize("nested", [False, True])
def test_an_id_equal_to_the_number_of_layers_names_a_boundary(nested: bool, tmp_path: Path) -> None:
    made = tiny()
    ids: dict[str, Any] = {"eagle_aux_hidden_state_layer_ids": [2, 6, 12]}
    made.config |= {"eagle_config": ids} if nested else ids
    made.config["architectures"] = ["LlamaForCausalLMEagle3"]
    report = load_head(made.write(tmp_path), target=Target()).report
    assert report.aux_layers == [2, 6, 12]
    assert "12 can only name a boundary" in str(report.reading["aux_layers"]["why"])
    assert any("12 can only name" in each for each in report.warnings) is nested


def test_own_embeddings_where_they_are_not_the_targets(tmp_path: Path) -> None:
    wide = tiny(target_hidden=48)
    own = load_head(wide.write(tmp_path / "own"))
    tokens = torch.tensor([[3, 59]])
    assert torch.equal(own.head.embed(tokens), wide.weights["embed_tokens.weight"][tokens])
    made = tiny()
    theirs = torch.nn.Embedding.from_pretrained(torch.randn(VOCAB, HIDDEN))
    held = {
        "the target's": (theirs.weight.to(torch.bfloat16), False, 0),
        "its own": (torch.randn(VOCAB, HIDDEN), True, 1),
        "zeros": (torch.zeros(VOCAB, HIDDEN), False, 1),
        "another size": (torch.randn(VOCAB - 1, HIDDEN), False, 1),
    }
    for name, (table, used, doubts) in held.items():
        made.weights["embed_tokens.weight"] = table
        loaded = load_head(made.write(tmp_path / name), target=Target(), embed=theirs)
        assert loaded.reading.own_embeddings is used
        assert loaded.report.ignored == ([] if used else ["embed_tokens.weight"])
        assert len(loaded.reading.doubts) == doubts
        if used:
            assert torch.equal(loaded.head.embed(tokens), table[tokens])
            twin = loaded.head.variant(replace(loaded.reading, own_embeddings=False))
            assert twin.embed_tokens is None
            assert torch.equal(outputs(twin)[1], outputs(loaded.head)[1])


def test_embedding_key_picks_the_heads_own_tensor(tmp_path: Path) -> None:
    made = tiny()
    table = torch.randn(VOCAB, HIDDEN)
    made.weights["draft_embed.weight"] = table
    path = made.write(tmp_path)
    loaded = load_head(path, embedding_key="draft_embed.weight")
    assert torch.equal(loaded.head.embed(torch.arange(VOCAB)), table)
    of_target = load_head(path, embedding_key="model.embed_tokens.weight")
    assert not of_target.reading.own_embeddings


WINDOWS: dict[str, tuple[dict[str, Any], int | None]] = {
    "types": ({"sliding_window": 16, "layer_types": ["sliding_attention"]}, 16),
    "types decide": ({"sliding_window": 16, "layer_types": ["full_attention"]}, None),
    "switched off": ({"sliding_window": 16, "use_sliding_window": False}, None),
    "switched on": ({"sliding_window": 16, "use_sliding_window": True}, 16),
    "Mistral": ({"sliding_window": 16}, 16),
    "only layers above": ({"sliding_window": 16, "max_window_layers": 28}, None),
    "none": ({"sliding_window": None}, None),
}


@pytest.mark.parametrize("said", WINDOWS)
def test_the_window_that_the_config_says(said: str, tmp_path: Path) -> None:
    made = tiny()
    keys, window = WINDOWS[said]
    made.config |= keys
    loaded = load_head(made.write(tmp_path))
    assert loaded.reading.window == window
    assert loaded.reading.doubts == ()


@pytest.mark.parametrize(("window", "base"), [(None, 1e6), (16, 500.0)])
def test_nested_rope_parameters_go_by_the_kind_of_layer(
    window: int | None, base: float, tmp_path: Path
) -> None:
    made = tiny(window=window)
    made.config["rope_parameters"] = {
        "full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
    }
    assert load_head(made.write(tmp_path)).reading.rope == RopeConfig(base)


def test_gemmas_name_of_the_activation(tmp_path: Path) -> None:
    made = tiny()
    made.config |= {"hidden_activation": "gelu_pytorch_tanh", "hidden_act": None}
    assert load_head(made.write(tmp_path)).config.activation == "gelu_pytorch_tanh"


@pytest.mark.parametrize("draft", [DRAFT, VOCAB])
@pytest.mark.parametrize("vocab", [VOCAB - 1, VOCAB + 4])
def test_padding_of_the_vocabulary_changes_no_draft(vocab: int, draft: int, tmp_path: Path) -> None:
    made = tiny(seed=2, draft=draft)
    theirs = torch.nn.Embedding.from_pretrained(torch.randn(vocab, HIDDEN))
    own = torch.randn(VOCAB, HIDDEN)
    made.weights["embed_tokens.weight"] = own
    path = made.write(tmp_path)
    plain = load_head(path)
    fitted = load_head(path, target=Target(vocab_size=vocab), embed=theirs)
    assert any("padding" in each for each in fitted.reading.doubts)
    assert fitted.config.vocab_size == vocab
    both = min(vocab, VOCAB)
    assert torch.equal(fitted.head.embed(torch.arange(both)), own[:both])
    assert torch.equal(fitted.head.embed(torch.arange(both, vocab)), theirs.weight[both:])
    drafted = fitted.config.draft_vocab_size
    assert drafted == (draft if draft < VOCAB else both)
    logits = [outputs(each.head)[1][..., :drafted] for each in (fitted, plain)]
    assert torch.equal(*logits)
    ids = [each.head.to_target(torch.arange(drafted)) for each in (fitted, plain)]
    assert torch.equal(*ids)
    if fitted.head.t2d is not None:
        assert fitted.head.t2d.shape == (vocab,)


def test_config_keys_that_nothing_reads_are_named(tmp_path: Path) -> None:
    made = tiny()
    made.config |= {"logit_scale": 0.5, "attention_dropout": 0.0, "num_experts": None}
    made.config["eagle_config"] = {"use_last_layernorm": False, "has_lm_head": True}
    report = load_head(made.write(tmp_path)).report
    assert report.not_understood == ["logit_scale", "eagle_config.use_last_layernorm"]
    assert any("logit_scale, eagle_config.use_last" in each for each in report.warnings)
    assert load_head(tiny().write(tmp_path / "plain")).report.not_understood == []


def test_keys_at_a_place_where_nothing_reads_them_are_named(tmp_path: Path) -> None:
    """A RoPE base beside the layer ids is read by nobody; a size said again is no news."""
    made = tiny()
    made.config["eagle_config"] = {"rope_theta": 1e6, "hidden_size": HIDDEN}
    made.config["transformer_layer_config"] = {"norm_output": True}
    assert load_head(made.write(tmp_path)).report.not_understood == [
        "eagle_config.rope_theta",
        "transformer_layer_config.norm_output",
    ]


def test_qwen_heads_without_head_dim_take_it_from_the_tensors(tmp_path: Path) -> None:
    made = tiny(head_dim=12)
    expected = load_head(made.write(tmp_path / "said"))
    del made.config["head_dim"]
    got = load_head(made.write(tmp_path / "unsaid"))
    assert got.config.head_dim == 12
    assert torch.equal(outputs(got.head)[1], outputs(expected.head)[1])


def test_eagle1_uses_the_targets_lm_head(tmp_path: Path) -> None:
    made = tiny_eagle1()
    loaded = load_head(made.write(tmp_path), target=Target())
    assert loaded.report.format == "eagle1"
    assert loaded.config.features_of(12) == (13,)
    assert not loaded.config.own_lm_head
    lm_head = torch.nn.Linear(HIDDEN, VOCAB, bias=False)
    loaded.head.attach_lm_head(lm_head)
    state = torch.randn(1, 2, HIDDEN)
    assert torch.equal(loaded.head.logits(state), lm_head(state))


EXPORTS: list[tuple[str, dict[str, Any]]] = [
    *[
        (layout, {})
        for layout in ("safeailab", "specforge", "angelslim", "speculators", "modelopt")
    ],
    *[(layout, {"mla": True}) for layout in ("safeailab", "specforge", "speculators")],
    ("safeailab", {"layers": 2, "norm_output": True, "norm_before_fc": True, "bias": True}),
    ("speculators", {"qk_norm": True, "fc_norm": True, "norm_before_residual": True}),
    ("safeailab", {"target_hidden": 48, "head_dim": 12, "theta": 1e6}),
    ("modelopt", {"scaling": {"rope_type": "linear", "factor": 2.0}, "window": 4}),
    ("angelslim", {"partial": 0.5, "window": 4}),
    ("specforge", {"draft": VOCAB, "norm_output": True}),
]


@pytest.mark.parametrize(("layout", "variant"), EXPORTS)
@pytest.mark.parametrize("pickled", [False, True])
def test_exports_load_back_identical(
    layout: str, variant: dict[str, Any], pickled: bool, tmp_path: Path
) -> None:
    first = load_head(tiny(**variant).write(tmp_path / "made"), aux_layers=[3, 5, 10])
    folder = save_head(first.head, tmp_path / "saved", layout, pickled=pickled)
    again = load_head(str(folder))
    assert again.report.format == layout
    assert again.config == first.config
    assert again.report.unexpected == []
    for mine, theirs in zip(outputs(again.head), outputs(first.head), strict=True):
        assert torch.equal(mine, theirs)


def test_eagle1_exports_load_back_identical(tmp_path: Path) -> None:
    first = load_head(tiny_eagle1(bias=False).write(tmp_path / "made"))
    again = load_head(str(save_head(first.head, tmp_path / "saved", "eagle1")))
    assert again.config == first.config
    for mine, theirs in zip(again.head.parameters(), first.head.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_variant_shares_weights_and_changes_only_the_arithmetic(tmp_path: Path) -> None:

    plain: LoadedHead = load_head(tiny().write(tmp_path / "a"))
    flagged = load_head(tiny(norm_before_residual=True).write(tmp_path / "b"))
    twin = plain.head.variant(replace(plain.reading, norm_before_residual=True))
    assert twin.fc.weight.data_ptr() == plain.head.fc.weight.data_ptr()
    for mine, theirs in zip(outputs(twin), outputs(flagged.head), strict=True):
        assert torch.equal(mine, theirs)
