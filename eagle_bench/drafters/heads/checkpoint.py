"""A head's folder, found and parsed: config, format, tensors under the house's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from eagle_bench.config.values import HeadKind
from eagle_bench.drafters.heads.check import check_is_head
from eagle_bench.drafters.heads.folder import locate, read_config, read_weights
from eagle_bench.drafters.heads.formats import Format, bare, detect, house_name
from eagle_bench.drafters.heads.keys import check_keys
from eagle_bench.drafters.heads.others import kind_of
from eagle_bench.errors import UserError

EMBEDDINGS = "embed_tokens.weight"


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds, before anybody decides how it is read.

    Attributes
    ----------
    kind : HeadKind
        How it drafts.
    weights : dict[str, Tensor]
        By the house's names, projections still separate.
    stored_as : dict[str, str]
        For each of them, its key in the files.
    ignored : list[str]
        Known keys of the files that a head does not need.
    not_understood : list[str]
        Keys of the config with a value that nothing here reads.
    """

    folder: Path
    files: list[str]
    config: Mapping[str, Any]
    form: Format
    kind: HeadKind
    weights: dict[str, Tensor]
    stored_as: dict[str, str]
    ignored: list[str]
    not_understood: list[str]

    @property
    def sizes(self) -> Mapping[str, Any]:
        """The part of the config that describes the layer."""
        section = self.form.section
        return self.config if section is None else self.config.get(section) or {}

    def flag(self, name: str) -> tuple[bool | None, str]:
        """What the config says of a flag (None: nothing), and where."""
        nested = self.config.get("eagle_config") or {}
        if name in self.config:
            return bool(self.config[name]), "config.json"
        if name in nested:
            return bool(nested[name]), "eagle_config of config.json"
        return None, "unsaid in config.json"

    def find(self, key: str) -> Tensor | None:
        """The tensor called `key` in the files, or without the prefixes of trainers."""
        plain = next(iter(bare([key])))
        names = [n for n, stored in self.stored_as.items() if key == stored or plain == n]
        return self.weights[names[0]] if names else None


def open_checkpoint(path: str) -> Checkpoint:
    """The head in the folder or hub repository `path`.

    Raises
    ------
    UserError
        There is none, or it is damaged.
    """
    folder = locate(path)
    stored, files = read_weights(folder)
    config = read_config(folder)
    not_understood = check_keys(config)
    keys = bare(stored)
    kind = kind_of(folder, config, keys)
    form = detect(folder, config, keys)
    named = {key: house_name(form, key) for key in keys}
    stored_as: dict[str, str] = {}
    for key, name in named.items():
        if name is not None and (other := stored_as.setdefault(name, keys[key])) != keys[key]:
            raise UserError(
                f"{folder} holds {other} and {keys[key]}, one tensor of a head; keep one."
            )
    weights = {name: stored[key] for name, key in stored_as.items()}
    ignored = [keys[key] for key, name in named.items() if name is None]
    check_is_head(folder, weights)
    return Checkpoint(
        folder, files, config, form, kind, weights, stored_as, ignored, not_understood
    )
