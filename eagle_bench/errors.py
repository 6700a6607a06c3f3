"""What a command says: on any terminal, and of its two bad ends (mistake: 2, failure: 1)."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
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


@dataclass
class Document:
    """The one JSON document on stdout of a command that is asked for it, also where it fails."""

    shown: bool = False
    reasons: list[str] = field(default_factory=list)

    def show(self, content: object) -> None:
        """Print it."""
        print(json.dumps(content), flush=True)
        self.shown = True

    def end(self, asked: bool, code: int) -> None:
        """A failed command that has shown none says with it why; then all is forgotten."""
        if asked and code and not self.shown:
            reason = printable(" ".join(self.reasons))
            self.show({"status": "failed", "exit_code": code, "reason": reason})
        self.shown, self.reasons = False, []


DOCUMENT = Document()


def tell(sentence: str) -> None:
    """One sentence on stderr on how the command ends."""
    print(f"eagle_bench: {printable(sentence)}", file=sys.stderr, flush=True)
    DOCUMENT.reasons.append(sentence)


def stop_printing() -> None:
    """`... | head` has read enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        code = 1
        try:
            code = command(*args, **kwargs)
        except (UserError, RunFailure) as error:
            tell(str(error))
            code = 2 if isinstance(error, UserError) else 1
        except MemoryError:
            tell("out of memory.")
        except OSError as error:
            if error.errno == errno.EPIPE:
                stop_printing()
            else:
                tell(reason(error))
        words = [*sys.argv, *(args[0] if args and isinstance(args[0], list) else ())]
        DOCUMENT.end(bool({"--json", "output=json"} & {*words}), code)
        return code

    return told
