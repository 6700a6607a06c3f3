"""Load an EAGLE head of any format by its folder alone, and say what was understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eagle_bench.config.values import Attention
from eagle_bench.drafters.heads.aux_layers import AuxLayers, read_aux_layers
from eagle_bench.drafters.heads.check import TargetShape, check_fits, check_is_head, check_tensors
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.folder import locate, read_config, read_weights
from eagle_bench.drafters.heads.formats import Format, bare, detect, house_name
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.parse import FLAGS, TOLD_BY_TENSORS, flags_said, parse_config
from eagle_bench.drafters.heads.report import LoadReport
from eagle_bench.drafters.heads.vocabulary import Vocabulary, read_vocabulary
from eagle_bench.drafters.heads.weightmap import join, split
from eagle_bench.errors import UserError

EMBEDDINGS = "embed_tokens.weight"
VOCABULARY = ("d2t", "t2d")
NORM_OUTPUT = (
    "norm_output=true is read as EAGLE 3.1's, the normed state is fed back; in SpecForge before "
    "September 2026 it meant only the norm before the lm_head: such a head needs "
    "drafter.norm_output=false."
)
SHAPES = (
    "hidden_size",
    "target_hidden_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "draft_vocab_size",
    "num_features",
)


@dataclass(frozen=True)
class LoadedHead:
    """A head, its configuration, and what the loader understood."""

    head: EagleHead
    config: HeadConfig
    report: LoadReport


def load_head(
    path: str,
    *,
    target: TargetShape | None = None,
    vocab_mapping: str | None = None,
    embedding_key: str | None = None,
    aux_layers: list[int] | None = None,
    attention: Attention = Attention.sdpa,
    rope_theta: float | None = None,
    norm_before_residual: bool | None = None,
    norm_output: bool | None = None,
) -> LoadedHead:
    """The head in the folder `path`, on the CPU, in the dtype of its `fc`.

    Parameters
    ----------
    path : str
        A folder in any of the formats of `tables.FORMATS`, or a hub id.
    target : TargetShape or None
        What the head must fit; None skips those checks.
    vocab_mapping : str or None
        A file with `d2t` and `t2d`, in place of the checkpoint's.
    embedding_key : str or None
        The head's tensor to use as token embeddings. A key that the head lacks names the
        target's tensor, as in SpecForge, and changes nothing here.
    aux_layers : list of int or None
        Layers whose input the head reads, in place of the config's.
    rope_theta, norm_before_residual, norm_output
        In place of the config's; None keeps that.

    Raises
    ------
    UserError
        One sentence on whatever is wrong with the folder, or between head and target.
    """
    folder = locate(path)
    stored, files = read_weights(folder)
    raw = read_config(folder)
    keys = bare(stored)
    form = detect(folder, raw, keys)
    weights: dict[str, Tensor] = {}
    ignored: list[str] = []
    for key, stored_as in keys.items():
        name = house_name(form, key)
        if name is None:
            ignored.append(stored_as)
        else:
            weights[name] = stored[stored_as]
    check_is_head(folder, weights)
    own = _choose_embeddings(weights, stored, embedding_key)
    config = parse_config(raw, form, weights, own)
    aux = read_aux_layers(raw, form, aux_layers, target.num_layers if target else None)
    if config.generation != 3:
        aux = AuxLayers(None, "EAGLE-1/2 reads the final hidden state")
    flags = {"norm_before_residual": norm_before_residual, "norm_output": norm_output}
    said: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    rope = config.rope if rope_theta is None else replace(config.rope, theta=rope_theta)
    config = replace(config, aux_layers=aux.layers, rope=rope, **said)
    if target is not None:
        check_fits(config, target)
    if config.own_embeddings and EMBEDDINGS not in weights:
        raise UserError(
            f"The head is {config.hidden_size} wide and its target {config.target_hidden_size}, "
            f"so it needs embeddings of its own, but {folder} has no {EMBEDDINGS}."
        )
    head, unexpected = _build(folder, config, weights, attention)
    vocabulary = Vocabulary(None, "the target's lm_head is used")
    if config.own_lm_head:
        vocabulary = read_vocabulary(
            {name: weights[name] for name in VOCABULARY if name in weights},
            vocab_mapping,
            config.vocab_size,
            config.draft_vocab_size,
        )
    if vocabulary.target_ids is not None:
        head.set_vocabulary(vocabulary.target_ids)
    ignored += [name for name in (EMBEDDINGS, "lm_head.weight") if name in unexpected]
    report = _report(folder, form, head, files, vocabulary, aux, target)
    report.ignored = sorted(ignored)
    report.unexpected = sorted(set(unexpected) - {*VOCABULARY, EMBEDDINGS, "lm_head.weight"})
    report.missing = [n for n in VOCABULARY if config.own_lm_head and n not in weights]
    report.warnings += _warnings(raw, config, weights, report, attention)
    if config.norm_output and norm_output is None and form.name != "speculators":
        report.warnings.append(NORM_OUTPUT)
    return LoadedHead(head, config, report)


def _choose_embeddings(
    weights: dict[str, Tensor], stored: Mapping[str, Tensor], key: str | None
) -> bool | None:
    """Put the tensor that `embedding_key` names in place; whether the head's own are used."""
    if key is None:
        return None
    name = next((k for k in (key, next(iter(bare([key])))) if k in stored or k in weights), None)
    if name is None:
        return None
    weights[EMBEDDINGS] = stored[name] if name in stored else weights[name]
    return True


def _build(
    folder: Path, config: HeadConfig, weights: Mapping[str, Tensor], attention: Attention
) -> tuple[EagleHead, list[str]]:
    """The head with its weights, and the names that found no place in it."""
    with torch.device("meta"):
        head = EagleHead(config, attention)
    expected = split(head.state_dict(), config)
    check_tensors(folder, weights, expected)
    dtype = weights["fc.weight"].dtype
    used = {name: weights[name].to(dtype) for name in expected}
    head.load_state_dict(join(used, config), assign=True)
    return head.eval(), [name for name in weights if name not in expected]


def _report(
    folder: Path,
    form: Format,
    head: EagleHead,
    files: list[str],
    vocabulary: Vocabulary,
    aux: AuxLayers,
    target: TargetShape | None,
) -> LoadReport:
    config = head.config
    dtype = head.fc.weight.dtype
    cached, plain = (n * dtype.itemsize for n in config.cache_elements_per_token())
    positions = torch.int32.itemsize if config.mla else 0
    layers = config.features_of(target.num_layers) if target else aux.layers
    return LoadReport(
        path=str(folder),
        format=form.name,
        title=form.title,
        generation=config.generation,
        files=files,
        dtype=str(dtype).removeprefix("torch."),
        parameters=sum(p.numel() for p in head.parameters()),
        shapes={name: getattr(config, name) for name in SHAPES}
        | ({"latent_dim": config.mla.latent_dim} if config.mla else {}),
        attention="MLA" if config.mla else "GQA",
        rope={"theta": config.rope.theta, "scaling": config.rope.scaling},
        coverage=config.draft_vocab_size / config.vocab_size,
        vocabulary_source=vocabulary.source,
        aux_layers=list(layers) if layers is not None else None,
        aux_source=aux.source,
        flags={name: getattr(config, name) for name in (*FLAGS, "own_embeddings", "own_lm_head")},
        cache_bytes_per_token=config.num_layers * (cached + positions),
        plain_cache_bytes_per_token=config.num_layers * plain,
        warnings=[*vocabulary.warnings, *([aux.warning] if aux.warning else [])],
    )


def _warnings(
    raw: Mapping[str, Any],
    config: HeadConfig,
    weights: Mapping[str, Tensor],
    report: LoadReport,
    attention: Attention,
) -> list[str]:
    said = []
    if EMBEDDINGS in report.ignored:
        said.append(f"{EMBEDDINGS} is in the checkpoint but unused: the target's embeddings are.")
    if report.unexpected:
        said.append(f"Keys of no known meaning were left out: {', '.join(report.unexpected)}.")
    for name, value in flags_said(raw).items():
        if name in TOLD_BY_TENSORS and value != getattr(config, name):
            said.append(
                f"config.json says {name}={str(value).lower()}, but "
                "the tensors say otherwise and are followed."
            )
    if raw.get("num_hidden_layers") not in (None, config.num_layers):
        said.append(
            f"config.json says num_hidden_layers={raw['num_hidden_layers']}; the head has "
            f"{config.num_layers}."
        )
    if attention is Attention.flex_attention_mla and config.mla is None:
        said.append("drafter.attention=flex_attention_mla: the head has no latent; it runs as GQA.")
    if len({weights[n].dtype for n in weights if weights[n].is_floating_point()}) > 1:
        said.append(f"The tensors are of several dtypes; all are read as {report.dtype}.")
    return said
