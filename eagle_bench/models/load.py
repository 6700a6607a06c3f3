"""From settings to a target, with every refusal before the expensive part."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType, Implementation, Packing
from eagle_bench.errors import UserError
from eagle_bench.models.checkpoint import WRAPPERS, check_exists, check_tensors
from eagle_bench.models.family import attention_of, check_family, loader_of, positions_of
from eagle_bench.models.generation_config import left_out
from eagle_bench.models.gguf import (
    check_gguf,
    is_gguf,
    name_architecture,
    settle_dequantised,
    source,
)
from eagle_bench.models.lean_target import FAMILIES, LeanTarget, fits
from eagle_bench.models.pieces import check_pieces, difference, sample
from eagle_bench.models.read import read
from eagle_bench.models.target import (
    EAGLE3_LAYERS,
    ModelShape,
    Target,
    TargetSpec,
    default_aux_layers,
)
from eagle_bench.models.transformers_target import TransformersTarget, decoder_layers

Faults = tuple[type[Exception], ...]
NAMED = re.compile(r"^\w+(?:Error|Exception): ")
"""How libraries begin the reason of a reason."""


def resolve_device(name: str) -> torch.device:
    """`auto` is the first GPU, else the CPU.

    Raises
    ------
    UserError
        No such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name} is not usable here; use auto, cpu or cuda.") from error
    return device


def resolve_dtype(dtype: DType, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 on a GPU that has it, else float32 (float16 is never assumed)."""
    if dtype is not DType.auto:
        return getattr(torch, dtype.value)  # type: ignore[no-any-return]
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def load_target(config: ModelConfig, dtype: DType, device: torch.device) -> Target:
    """Load the target and its tokenizer.

    Raises
    ------
    UserError
        As `load_model`.
    """
    return load_model(_with_path(config), dtype, device, key="model.path")


def target_shape(config: ModelConfig) -> ModelShape:
    """The sizes of the target; no weights are read.

    Raises
    ------
    UserError
        No such folder or hub id, or it holds no config of a decoder that can be run.
    """
    text = _read_config(_with_path(config), "model.path").get_text_config()
    return ModelShape(text.hidden_size, text.vocab_size, text.num_hidden_layers)


def _with_path(config: ModelConfig) -> ModelConfig:
    path = config.checkpoint()
    if path is None:
        raise UserError(f"model={config.name} needs model.path=FOLDER, FILE.gguf or a hub id.")
    return replace(config, path=path)


def _read_config(config: ModelConfig, key: str) -> Any:
    """The config that the checkpoint holds, of a family that can be run."""
    from transformers import AutoConfig

    path = os.path.expanduser(str(config.path))
    if is_gguf(path):
        check_gguf(path, key)
    else:
        check_exists(path, key, config.revision)
    place, file = source(path)
    options = _options(config) | file
    settings = _or_refuse(key, path, "config", lambda: AutoConfig.from_pretrained(place, **options))
    if file:
        name_architecture(settings)
    check_family(settings, key=key, path=path)
    return settings


def _options(config: ModelConfig) -> dict[str, Any]:
    return {"revision": config.revision, "trust_remote_code": config.trust_remote_code}


def load_model(config: ModelConfig, dtype: DType, device: torch.device, *, key: str) -> Target:
    """Load a causal LM from `config.path`; `key` is what the user set, for the refusals.

    On torch's meta device it has its shapes and no weights, and nothing of them is read.

    Raises
    ------
    UserError
        No such folder or hub id, no decoder, a family that cannot be run, broken, missing or
        left-over weights, or a lean implementation that the model does not fit.
    """
    from safetensors import SafetensorError
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # What a checkpoint lacks is told by `check_tensors`.
    assert config.path is not None
    path = os.path.expanduser(config.path)
    settings = _read_config(config, key)
    place, file = source(path)
    options = _options(config) | file
    loader, remarks = loader_of(settings)
    attention, said = attention_of(settings, config.attention)
    remarks += said
    tokenizer = _or_refuse(
        key, path, "tokenizer", lambda: AutoTokenizer.from_pretrained(place, **options)
    )
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise UserError(f"{key}={path} has no tokenizer files; save its tokenizer there.")
    wanted = resolve_dtype(dtype, device)
    lean_wanted = config.implementation is Implementation.lean
    architecture = (getattr(settings, "architectures", None) or [""])[0]
    if lean_wanted and architecture not in FAMILIES:
        raise UserError(
            f"model.implementation=lean does not fit {architecture or path}; it is for "
            f"{', '.join(FAMILIES)}. Use model.implementation=auto."
        )
    if device.type == "meta":
        with device:
            model = loader.from_config(
                settings,
                dtype=wanted,
                attn_implementation=attention.value,
                trust_remote_code=config.trust_remote_code,
            )
        model.requires_grad_(False).eval()
        spec = replace(spec_of(model, tokenizer, path, wanted, device), remarks=remarks)
        return TransformersTarget(model, tokenizer, spec)
    if config.device_map is not None:
        options["device_map"] = config.device_map
    if config.tensor_parallel:
        options["tp_plan"] = "auto"
    model, report = _or_refuse(
        key,
        path,
        "weights",
        lambda: loader.from_pretrained(
            place,
            dtype=wanted,
            attn_implementation=attention.value,
            key_mapping=WRAPPERS,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        ),
        (OSError, ValueError, SafetensorError, KeyError, ImportError),  # Memory may run out.
    )
    remarks += check_tensors(model, report, decoder_layers(model), key=key, path=path)
    if file:
        remarks += (settle_dequantised(model, key, path),)
    remarks += left_out(model.generation_config)
    spread = config.device_map is not None or config.tensor_parallel
    if not spread and not getattr(model, "is_quantized", False):
        model = model.to(device)
    model.requires_grad_(False).eval()
    spec = replace(spec_of(model, tokenizer, path, wanted, device), remarks=remarks)
    generic = TransformersTarget(model, tokenizer, spec)
    if config.implementation is Implementation.transformers or spread or not fits(model):
        if lean_wanted:
            raise UserError(f"model.implementation=lean does not fit {path}; use auto.")
        check_pieces(generic, key=key, path=path)
        return generic
    lean = LeanTarget(model, tokenizer, spec)
    if config.packing is Packing.auto:
        lean.pack()
    return _checked(lean, generic, lean_wanted)


def _checked(lean: LeanTarget, generic: TransformersTarget, required: bool) -> Target:
    """The lean forward if its logits equal transformers' on a text, else the generic."""
    spec = generic.spec
    tokens = sample(generic)
    expected, actual = (read(target, tokens).logits for target in (generic, lean))
    worst = difference(actual, expected, spec)
    if worst is None:
        generic.set_aux_layers(())
        return lean
    found = (
        f"gives other logits than transformers for {spec.name} (relative difference {worst:.2g})"
    )
    if required:
        raise UserError(
            f"model.implementation=lean {found}; use model.implementation=transformers."
        )
    remark = f"The lean forward {found}, so transformers' own, slower one runs."
    generic.spec = replace(spec, remarks=(*spec.remarks, remark))
    return generic


def spec_of(
    model: Any, tokenizer: Any, path: str, dtype: torch.dtype, device: torch.device
) -> TargetSpec:
    """What a loaded model is, before a head chooses its features."""
    config = model.config.get_text_config()
    eos = model.generation_config.eos_token_id
    if eos is None:
        eos = config.eos_token_id if config.eos_token_id is not None else tokenizer.eos_token_id
    ids = eos if isinstance(eos, list) else [] if eos is None else [eos]
    parts = (model.get_input_embeddings(), model.get_decoder(), model.get_output_embeddings())
    weights = list(dict.fromkeys(each for part in parts for each in part.parameters()))
    return TargetSpec(
        name=Path(path).name,
        architecture=type(model).__name__,
        implementation="transformers",
        hidden_size=config.hidden_size,
        vocab_size=model.get_output_embeddings().weight.shape[0],
        num_layers=config.num_hidden_layers,
        max_positions=positions_of(config),
        eos_ids=frozenset(ids),
        parameters=sum(weight.numel() for weight in weights),
        weight_bytes=sum(weight.numel() * weight.element_size() for weight in weights),
        dtype=dtype,
        device=weights[0].device if weights else device,
        aux_layers=default_aux_layers(config.num_hidden_layers)
        if config.num_hidden_layers >= EAGLE3_LAYERS
        else (),
    )


def _or_refuse(
    key: str, path: str, what: str, load: Callable[[], Any], faults: Faults = (Exception,)
) -> Any:
    """What transformers says of a file that it cannot read, as one sentence."""
    try:
        return load()
    except faults as error:
        said = [NAMED.sub("", line.strip()) for line in str(error).splitlines() if line.strip()]
        whole = " ".join(said[: 2 if said and said[0].endswith(":") else 1]) or "it is broken"
        raise UserError(f"{key}={path}: the {what} cannot be loaded: {whole[:200]}") from error
