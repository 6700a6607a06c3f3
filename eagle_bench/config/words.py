"""Settings from a command line of `key=value` words, for commands that compose nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from eagle_bench.errors import UserError

HELP = {"-h", "--help"}
"""What asks a command what it is for."""

PAIR: dict[str, type] = {
    "drafter.path": str,
    "drafter.vocab_mapping": str,
    "drafter.embedding_key": str,
    "drafter.aux_layers": list,
    "drafter.rope_theta": float,
    "drafter.norm_before_residual": bool,
    "drafter.norm_output": bool,
    "model.path": str,
    "model.trust_remote_code": bool,
}
"""What such commands say of an EAGLE head and its target, and the kind of each value."""


def under(settings: Mapping[str, Any], group: str) -> dict[str, Any]:
    """The settings of `group`, by their names within it."""
    above = f"{group}."
    return {
        key.removeprefix(above): value for key, value in settings.items() if key.startswith(above)
    }


def read_words(arguments: Sequence[str], kinds: Mapping[str, type], known: str) -> dict[str, Any]:
    """Each word's value in the kind of its key; `known` ends the refusal of another key.

    Raises
    ------
    UserError
        A word that is no setting, or whose value is of another kind.
    """
    settings: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or key not in kinds:
            raise UserError(f"{argument!r} is no setting; known: {known}.")
        value = text if kinds[key] is str else yaml.safe_load(text)
        if kinds[key] is float and isinstance(value, int | str):
            value = _number(value)
        if not isinstance(value, kinds[key]):
            raise UserError(f"{argument!r} should be a {kinds[key].__name__}.")
        settings[key] = value
    return settings


def _number(text: int | str) -> float | str:
    """YAML takes 1e6 for a word."""
    try:
        return float(text)
    except ValueError:
        return str(text)
