"""A GGUF file as a target: config, tokenizer and dequantised weights, all from the one file."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eagle_bench.config.values import dtype_name
from eagle_bench.errors import UserError

SUFFIX = ".gguf"
MAGIC = b"GGUF"
HEADER = struct.Struct("<4sI")
VERSIONS = (2, 3)


def is_gguf(path: str) -> bool:
    """Whether `path` names a GGUF file, there or not."""
    return path.lower().endswith(SUFFIX)


def check_gguf(path: str, key: str) -> None:
    """Refuse, before anything is loaded, what cannot be read as GGUF.

    Raises
    ------
    UserError
        No such file, another kind of file, or no package `gguf` to read it with.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(
            f"{key}={path} does not exist; give a GGUF file, a model folder or a hub id."
        )
    with file.open("rb") as stream:
        header = stream.read(HEADER.size)
    magic, version = HEADER.unpack(header) if len(header) == HEADER.size else (b"", 0)
    if magic != MAGIC or version not in VERSIONS:
        raise UserError(f"{key}={path} is no GGUF file of version 2 or 3; download it again.")
    if find_spec("gguf") is None:
        raise UserError(
            f"{key}={path} is read with the package gguf: pip install 'eagle_bench[gguf]'."
        )


def source(path: str) -> tuple[str, dict[str, str]]:
    """What transformers' `from_pretrained` takes for `path`: a place, and options beside it."""
    if not is_gguf(path):
        return path, {}
    file = Path(path)
    return str(file.parent), {"gguf_file": file.name}


def name_architecture(settings: Any) -> None:
    """Say in a GGUF's config what a folder's config.json says: the class that runs it."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CLASSES

    settings.architectures = [CLASSES[settings.model_type]]


def settle_dequantised(model: Any, key: str, path: str) -> str:
    """Let `model`, which transformers dequantised, be an ordinary model; the remark on it."""
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    name_architecture(model.config)
    dtype = dtype_name(model.dtype)
    return f"{key}={path}: the GGUF's weights were dequantised, so they are computed in {dtype}."
