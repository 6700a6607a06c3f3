"""Settings from a command line of `key=value` words, for commands that compose nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from eagle_bench.errors import UserError


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
