"""Arguments that Hydra's grammar cannot read, told with the quotes that make them work."""

from __future__ import annotations

import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException

AMBIGUOUS = re.compile(r"Ambiguous value for argument '(.*)'$", re.MULTILINE)


def refused_argument(error: BaseException) -> str | None:
    """The argument over whose value Hydra raised `error`; None if that is not what happened."""
    if isinstance(error, OverrideParseException):
        return str(error.override)
    found = AMBIGUOUS.search(str(error)) if isinstance(error, HydraException) else None
    return found[1] if found else None


def how_to_quote(argument: str) -> str:
    """One sentence with `argument` as it works when it is typed into a shell."""
    key, _, value = argument.partition("=")
    mark = "'" if '"' in value else '"'
    literal = value.replace(mark, f"\\{mark}")
    quoted = f"{key}={mark}{literal}{mark}"
    try:
        OverridesParser.create().parse_overrides([quoted])
    except HydraException:
        return f"the argument {argument} is not KEY=VALUE."
    return f"the argument {argument} needs quotes around its value: {shlex.quote(quoted)}."
