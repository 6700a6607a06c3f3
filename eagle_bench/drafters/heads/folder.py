"""A head's folder: finding it, its `config.json`, and its tensors, read without running code."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from eagle_bench.errors import UserError
from eagle_bench.machine.hub import Absent, beside, fetch

TRAINING_STATE = "training_state.pt"
SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
MASK_EMBEDDING = "mask_embedding.pt"
SPECULATORS = ("eagle3", "peagle", "dflash")
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def locate(path: str) -> Path:
    """The local folder of `drafter.path`, fetched when it is a hub id.

    Only JSON, safetensors and `.bin` files are fetched, nothing that could be a training state.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise UserError(f"drafter.path={path} is a file; give the folder that holds it.")
    if not HUB_ID.fullmatch(path):
        raise UserError(f"drafter.path={path} does not exist{beside(path)}.")
    try:
        return fetch(path, ["*.json", "*.safetensors", "*.bin", MASK_EMBEDDING])
    except Absent as why:
        raise UserError(
            f"drafter.path={path} is no folder here{beside(path)}, and as a hub id it {why}; give "
            "a folder, or download it first."
        ) from None


def read_json(folder: Path) -> dict[str, Any]:
    """`config.json` of the folder."""
    path = folder / "config.json"
    if not path.is_file():
        _refuse_other_folders(folder)
        raise UserError(f"{folder} has no config.json, so its weights cannot be interpreted.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}.") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} holds no JSON object.")
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of the folder, which must not describe another kind of speculator."""
    config = read_json(folder)
    if (kind := config.get("speculators_model_type", "eagle3")) not in SPECULATORS:
        raise UserError(
            f"{folder} holds a speculators model of type {kind!r}; heads of the types "
            f"{', '.join(SPECULATORS)} can be run here."
        )
    return config


def read_weights(folder: Path) -> tuple[dict[str, Tensor], list[str]]:
    """All tensors of the folder by name, and the files they came from.

    Order of preference: safetensors, single then sharded; `pytorch_model.bin`, single then
    sharded, unpickled with `weights_only`; a lone `*.safetensors` of another name.
    """
    _refuse_other_folders(folder)
    files = [SAFETENSORS] if (folder / SAFETENSORS).is_file() else []
    files = files or _sharded(folder, SAFETENSORS_INDEX)
    files = files or ([PICKLE] if (folder / PICKLE).is_file() else [])
    files = files or _sharded(folder, PICKLE_INDEX)
    files = files or sorted(p.name for p in folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder} holds no weights: {SAFETENSORS} or {PICKLE} was expected.")
    weights: dict[str, Tensor] = {}
    for name in files:
        more = read_tensors(folder / name)
        if twice := sorted(weights.keys() & more):
            raise UserError(
                f"{folder} holds {twice[0]} in several of {', '.join(files)}; keep the files of "
                "one checkpoint."
            )
        weights |= more
    return weights, files


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors or pickle file; a pickle's code is never run."""
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is truncated or corrupt: {error}.") from error
    loaded = unpickle(path)
    if not isinstance(loaded, dict):
        raise UserError(f"{path} holds a {type(loaded).__name__}, not tensors by name.")
    if isinstance(inner := loaded.get("state_dict"), dict):
        loaded = inner
    return {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}


def unpickle(path: Path) -> Any:
    """What a pickle of tensors holds; its code is never run."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} holds more than tensors or is corrupt; it was not executed, so save it "
            "again as safetensors."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise UserError(f"{path} is truncated or corrupt: {error}.") from error


def _sharded(folder: Path, index_name: str) -> list[str]:
    index = folder / index_name
    if not index.is_file():
        return []
    try:
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise UserError(f"{index} is no index of shards.") from error
    if outside := [name for name in files if Path(name).name != name]:
        raise UserError(f"{index} names a shard outside its folder: {outside[0]}.")
    if absent := [name for name in files if not (folder / name).is_file()]:
        raise UserError(
            f"{folder} lacks {len(absent)} of its {len(files)} shards: {', '.join(absent)}."
        )
    return files


def _refuse_other_folders(folder: Path) -> None:
    """Say what a folder is that holds no head, where that can be told from its files."""
    names = {p.name for p in folder.iterdir()}
    if "adapter_config.json" in names:
        raise UserError(f"{folder} holds a LoRA adapter, not an EAGLE head.")
    weighty = any(name.endswith((".safetensors", ".bin", ".index.json")) for name in names)
    if weighty:
        return
    if TRAINING_STATE in names:
        raise UserError(
            f"{folder} holds only {TRAINING_STATE}, which is never unpickled; make it loadable "
            f"with `specforge export --to hf --checkpoint {folder.name} --draft-config "
            "CONFIG.json --output-dir OUT` and give OUT as drafter.path."
        )
    inner = sorted(p.name for p in folder.iterdir() if (p / "config.json").is_file())
    if inner:
        raise UserError(
            f"{folder} holds no head itself; give one of its folders: {', '.join(inner[:8])}."
        )
    if not names:
        raise UserError(f"{folder} is empty.")
