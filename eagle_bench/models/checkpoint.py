"""A checkpoint's files and the names of its tensors, judged before and after they are loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import nn

from eagle_bench.errors import UserError
from eagle_bench.machine.hub import Absent, beside, check_there

WRAPPERS = {
    r"^(?:(?:module|_orig_mod|_fsdp_wrapped_module)\.)+": "",
    r"(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+": "",
}
"""What DataParallel, torch.compile and FSDP put into names (regular expressions), and what is
left of it: transformers' `key_mapping`."""

SHOWN = 3


def check_exists(path: str, key: str, revision: str | None = None) -> None:
    """Refuse, before anything is loaded, what is no whole checkpoint.

    Raises
    ------
    UserError
        No such folder, nor such a hub id within seconds, a truncated or corrupt file, or one
        tensor under two names.
    """
    folder = Path(path)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"{key}={path} has no config.json: it is not a model folder.")
        _check_safetensors(folder)
        return
    if path.startswith((".", "/", "~")) or path.count("/") != 1:
        raise UserError(f"{key}={path} does not exist{beside(path)}; give a folder or a hub id.")
    try:
        check_there(path, revision=revision)
    except Absent as why:
        raise UserError(
            f"{key}={path} is no folder here{beside(path)}, and as a hub id it {why}; give a "
            "folder, or download it first."
        ) from None


def _check_safetensors(folder: Path) -> None:
    """Judge the files by their headers."""
    names: dict[str, str] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name in _tensor_names(file):
            other = names.setdefault(_unwrapped(name), name)
            if other != name:
                raise UserError(
                    f"{folder} holds both {other} and {name}, one tensor under two names once the "
                    "training wrapper's prefix is taken off; keep one of them."
                )


def _unwrapped(name: str) -> str:
    for wrapper, left in WRAPPERS.items():
        name = re.sub(wrapper, left, name)
    return name


def _tensor_names(file: Path) -> list[str]:
    """The names in a safetensors file, which must be as long as its header says."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length < size else b""
    try:
        entries = {k: entry for k, entry in json.loads(header).items() if k != "__metadata__"}
        whole = 8 + length + max(entry["data_offsets"][1] for entry in entries.values()) == size
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(f"{file} is truncated or corrupt; copy or download it again.")
    return list(entries)


def check_tensors(
    model: Any, report: dict[str, Any], layers: nn.ModuleList, *, key: str, path: str
) -> tuple[str, ...]:
    """Refuse a model that is not what its checkpoint holds; one remark on what is left over.

    Parameters
    ----------
    report : dict
        transformers' loading info of `model`.
    layers : nn.ModuleList
        The decoder layers of `model`.

    Raises
    ------
    UserError
        Parameters that the checkpoint lacks or has in another shape, or tensors left over that
        belong to a layer, to the embeddings or to the output head. A quantised checkpoint's
        left-over scales are only remarked on.
    """
    kind = type(model).__name__
    parameters = {name for name, _ in model.named_parameters()}
    missing = parameters & set(report["missing_keys"])
    if missing:
        raise UserError(
            f"{key}={path} lacks {_some(missing)} of {kind}, which would be random; "
            "give the whole checkpoint, its tensors named as transformers saves them."
        )
    if report["mismatched_keys"]:
        name, saved, wanted = min(report["mismatched_keys"])
        raise UserError(
            f"{key}={path} has {name} as {tuple(saved)}, where {kind} of its config.json needs "
            f"{tuple(wanted)}; give the config.json that the weights were saved with."
        )
    left_over = set(report["unexpected_keys"])
    read = {*layers, model.get_input_embeddings(), model.get_output_embeddings()}
    homes = tuple(f"{name}." for name, module in model.named_modules() if module in read)
    unread = {name for name in left_over if name.startswith(homes)}
    if unread and not getattr(model, "is_quantized", False):
        raise UserError(
            f"{key}={path} holds {_some(unread)}, which {kind} does not read; merge the adapter "
            "into the weights, or mend config.json."
        )
    if left_over:
        return (f"{key}={path}: {kind} has no place for {_some(left_over)}, left unread.",)
    return ()


def _some(names: Collection[str]) -> str:
    """The first few by name, and how many more."""
    shown = ", ".join(sorted(names)[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown
