"""Which setting was meant by a key that is none."""

from __future__ import annotations

from difflib import get_close_matches

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

NEAR = 0.6


def suggestion(error: BaseException) -> str:
    """`Did you mean gen_len?` for an unknown key; empty where no setting is near."""
    if not isinstance(error, OmegaConfBaseException) or error.full_key is None:
        return ""
    node = error.parent_node
    if not isinstance(node, DictConfig):
        return ""
    names = _names(node._get_root())
    asked = error.full_key
    leaf = asked.rpartition(".")[2]
    elsewhere = [name for name in names if name.rpartition(".")[2] == leaf]
    meant = elsewhere or get_close_matches(asked, names, 1, NEAR)
    return f"Did you mean {' or '.join(meant)}?" if meant else ""


def _names(config: object, above: str = "") -> list[str]:
    """The dotted names of all settings of a composed config, but for Hydra's own."""
    if not isinstance(config, DictConfig):
        return [above.rstrip(".")]
    keys = (str(key) for key in config if key != "hydra" and not OmegaConf.is_missing(config, key))
    return [name for key in keys for name in _names(config._get_node(key), f"{above}{key}.")]
