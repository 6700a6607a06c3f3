"""What Hydra and OmegaConf refuse, in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from eagle_bench.errors import UserError, reason
from eagle_bench.launch.arguments import how_to_quote, refused_argument
from eagle_bench.launch.suggest import suggestion

RESOLVING = re.compile(r"^\w+ raised while resolving interpolation: ")


@contextmanager
def sentences() -> Iterator[None]:
    """Inside, what Hydra and OmegaConf refuse is a `UserError`."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(sentence(error)) from error


def sentence(error: BaseException) -> str:
    """What went wrong, on one line; of Hydra's and OmegaConf's reports the telling part."""
    if isinstance(error, MissingConfigException) and error.options:
        options = (name for name in error.options if not name.endswith("schema"))
        return f"no config {error.missing_cfg_file}; choose one of {', '.join(options)}."
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return reason(error)
    argument = refused_argument(error)
    if argument is not None:
        return how_to_quote(argument)
    lines = _lines(error)
    if isinstance(error, HydraException) and error.__cause__ is not None:
        lines += [line for line in _lines(error.__cause__) if line not in lines]
        lines += filter(None, [suggestion(error.__cause__)])
    told = " ".join(line if line[-1] in ".:?!" else f"{line}." for line in lines)
    ours = str(error).startswith(UserError.__name__)
    if isinstance(error, InterpolationResolutionError) and error.full_key and not ours:
        return f"{error.full_key}: {told}"
    return told


def _lines(error: BaseException) -> list[str]:
    """The lines of a message, less OmegaConf's internals and a hint that a schema rules out."""
    lines = (str(error) or type(error).__name__).splitlines()
    kept = (line for line in lines if not line.startswith((" ", "To append to your config")))
    return [RESOLVING.sub("", line.strip()) for line in kept if line.strip()]
