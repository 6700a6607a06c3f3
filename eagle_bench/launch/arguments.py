"""Arguments that Hydra's grammar cannot read or that choose no file, told by what would work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException

from eagle_bench.errors import UserError
from eagle_bench.launch.registry import CONF, presets

AMBIGUOUS = re.compile(r"Ambiguous value for argument '(.*)'$", re.MULTILINE)

QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")


def refused_argument(error: BaseException) -> str | None:
    """The argument over whose value Hydra raised `error`; None if that is not what happened."""
    if isinstance(error, OverrideParseException):
        return str(error.override)
    found = AMBIGUOUS.search(str(error)) if isinstance(error, HydraException) else None
    return found[1] if found else None


def how_to_quote(argument: str) -> str:
    """One sentence with `argument` as it works when it is typed into a shell."""
    key, _, value = argument.partition("=")
    if value.startswith("[") and value.endswith("]"):
        whose = "items"
        items = [each.strip() for each in value[1:-1].split(",")]
        literal = (
            f"[{','.join(each if QUOTED.fullmatch(each) else _quoted(each) for each in items)}]"
        )
    else:
        whose, literal = "value", _quoted(value)
    quoted = f"{key}={literal}"
    try:
        OverridesParser.create().parse_overrides([quoted])
    except HydraException:
        return f"the argument {argument} is not KEY=VALUE."
    return f"the argument {argument} needs quotes around its {whose}: {shlex.quote(quoted)}."


def _quoted(value: str) -> str:
    mark = "'" if '"' in value else '"'
    return mark + value.replace(mark, f"\\{mark}") + mark


def check_choices(arguments: Iterable[str]) -> None:
    """Hydra takes only a name for a group of configs in `conf/`, and refuses others without it.

    Raises
    ------
    UserError
        A number, null, a flag, a list or a mapping stands for the name.
    """
    parser = OverridesParser.create()
    for argument in arguments:
        group = argument.partition("=")[0].lstrip("+")
        if not group or not (Path(CONF) / group).is_dir():
            continue
        try:
            override = parser.parse_override(argument)
        except HydraException:
            continue
        if override.is_delete() or override.is_sweep_override():
            continue
        if not isinstance(override.value(), str):
            names = ", ".join(file.stem for file in presets(group))
            raise UserError(f"{argument}: {group} is one of {names}.")
