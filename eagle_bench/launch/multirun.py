"""`-m`, which makes a sweep of a command: found wherever it stands, missed where it is needed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from eagle_bench.errors import UserError

FLAGS = ("-m", "--multirun")
SHOWING = ("-h", "--help", "--hydra-help", "-c", "--cfg", "-i", "--info", "--shell-completion")
"""Flags that show something and run nothing."""
SWEEPS = re.compile(r"\+{0,2}(hydra/launcher=(?!basic$)|sweep=(?!none$)|experiment=).+")
"""Choices that mean nothing to a single run."""


def with_flag_first(words: Sequence[str]) -> list[str]:
    """A command line as Hydra reads it: program, `-m` where it was given, the other arguments.

    Raises
    ------
    UserError
        An argument needs `-m`, and it is not there.
    """
    program, *arguments = words
    flags = [each for each in arguments if each in FLAGS]
    rest = [each for each in arguments if each not in FLAGS]
    needing = next(filter(SWEEPS.fullmatch, rest), None)
    if needing and not flags and not {*rest} & {*SHOWING}:
        name = program if " " in program else f"python -m eagle_bench.{Path(program).stem}"
        raise UserError(f"{needing} needs -m ({name} -m {shlex.join(rest)}).")
    return [program, *flags[:1], *rest]
