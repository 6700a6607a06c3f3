"""SIGTERM and SIGHUP end a command as Ctrl-C does, and Ctrl-C shows no traceback."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType


class Interrupted(KeyboardInterrupt):
    """A signal that asks the process to end; its number is `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """What a shell expects of a process that this ended."""
    return 128 + (interrupt.number if isinstance(interrupt, Interrupted) else signal.SIGINT)


def end_in_a_sentence() -> None:
    """From now on these signals raise, so that every `finally` is reached; a second one kills.

    A signal that is ignored, as SIGHUP under `nohup`, stays ignored.
    """
    sys.excepthook = _hook
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Interrupted(number)


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("eagle_bench: interrupted.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
