"""Drafters that share tensors with an EAGLE head and are none: told, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from eagle_bench.config.values import HeadKind
from eagle_bench.errors import UserError

Marks = Callable[[str, Mapping[str, Any], frozenset[str]], bool]
"""`(architecture, config, bare keys) -> whether this is it`"""


def _has(keys: frozenset[str], *beginnings: str) -> bool:
    return any(key.startswith(beginnings) for key in keys)


def _is_dflash(architecture: str, config: Mapping[str, Any], keys: frozenset[str]) -> bool:
    anchored = {"fc.weight", "hidden_norm.weight"} <= keys
    return "DFlash" in architecture or "dflash_config" in config or anchored


def _is_p_eagle(architecture: str, config: Mapping[str, Any], keys: frozenset[str]) -> bool:
    return "PEagle" in architecture or "pard_token" in config or _has(keys, "mask_hidden")


def _is_mtp(architecture: str, config: Mapping[str, Any], keys: frozenset[str]) -> bool:
    named = architecture.endswith(("MTP", "NextN", "MTPModel"))
    joined = any("eh_proj." in key or "enorm." in key for key in keys)
    return named or joined or _has(keys, "mtp.", "mtp_layers.")


OTHERS: dict[str, Marks] = {
    "Medusa": lambda arch, config, keys: "medusa_num_heads" in config or _has(keys, "medusa_head."),
    "Hydra": lambda arch, config, keys: "hydra_num_heads" in config or _has(keys, "hydra_head."),
    "DSpark": lambda arch, config, keys: (
        bool(config.get("markov_rank")) or _has(keys, "markov_head.", "confidence_head.")
    ),
    HeadKind.p_eagle.value: _is_p_eagle,
    HeadKind.dflash.value: _is_dflash,
    "MTP": _is_mtp,
}
"""In the order of their trial: a DSpark drafter has all that a DFlash one has.

DeepSpec's DFlash heads are of its class for DSpark, with a `markov_rank` of 0.
"""


def kind_of(folder: Path, config: Mapping[str, Any], keys: Iterable[str]) -> HeadKind:
    """How the head drafts that has this `config` and these bare `keys`.

    Raises
    ------
    UserError
        In a way that cannot be run here.
    """
    architecture = (config.get("architectures") or [""])[0]
    bare = frozenset(keys)
    for name, marks in OTHERS.items():
        if not marks(architecture, config, bare):
            continue
        if name not in {kind.value for kind in HeadKind}:
            raise UserError(
                f"{folder} holds a {name} drafter, which drafts in another way than an EAGLE "
                "head and is not run as one; docs/formats.md lists what is."
            )
        return HeadKind(name)
    return HeadKind.eagle3
