"""A drafter that is a class somewhere in the user's Python."""

from __future__ import annotations

from importlib import import_module
from inspect import signature

from eagle_bench.config.drafter import PythonConfig
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.errors import UserError
from eagle_bench.models.target import Target


def named_drafter(config: PythonConfig, target: Target) -> Drafter:
    """The class that `config.source` names, made for `target`.

    Raises
    ------
    UserError
        There is none, or it takes other settings.
    """
    module, _, name = config.source.partition(":")
    try:
        kind = getattr(import_module(module), name)
        signature(kind).bind(target, **config.settings)
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(f"drafter.source={config.source} cannot be used: {error}.") from error
    made: Drafter = kind(target, **config.settings)
    return made
