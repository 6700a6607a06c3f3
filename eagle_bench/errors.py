"""What a command says: on any terminal, and of its two bad ends (mistake: 2, failure: 1)."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")


CONTROL = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (*range(32), *range(127, 160))
    if chr(code) not in "\n\t"
}


class UserError(ValueError):
    """Bad input: one sentence that says what was wrong, where, and what would be right."""


class RunFailure(RuntimeError):
    """The input was fine but the work could not be done (out of memory, a lost device)."""


class OutOfTime(BaseException):
    """`limit_s` is over: everything ends, as after Ctrl-C, and the same command goes on."""


def print_whatever_it_can_show() -> None:
    """From now on a character that stdout or stderr cannot encode is printed as `?`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def printable(text: str) -> str:
    """`text` without what a terminal would obey: control characters are replaced."""
    return text.translate(CONTROL)


def reason(error: OSError) -> str:
    """What the system refused, on one line."""
    named = f"{error.filename}: " if error.filename else ""
    return f"{named}{error.strerror or error}."


def in_a_sentence(command: Callable[P, int]) -> Callable[P, int]:
    """Let a console command tell its expected errors on stderr and return their exit code."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> int:
        print_whatever_it_can_show()
        try:
            return command(*args, **kwargs)
        except (UserError, RunFailure) as error:
            print(f"eagle_bench: {printable(str(error))}", file=sys.stderr)
            return 2 if isinstance(error, UserError) else 1
        except MemoryError:
            print("eagle_bench: out of memory.", file=sys.stderr)
            return 1
        except OSError as error:
            if error.errno == errno.EPIPE:  # `... | head` has read enough.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            else:
                print(f"eagle_bench: {printable(reason(error))}", file=sys.stderr)
            return 1

    return told
