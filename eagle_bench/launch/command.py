"""What every Hydra command shares: compose, validate, hand over, and one honest exit code.

0: all went well. 1: the work failed. 2: the user's mistake, told in one sentence on stderr.
In a multirun a failed job does not stop the others; the code is 2 when every job was refused
and 1 when some other mixture failed. `HYDRA_FULL_ERROR=1` adds every traceback.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from eagle_bench import __version__
from eagle_bench.errors import (
    OutOfTime,
    RunFailure,
    UserError,
    print_whatever_it_can_show,
    printable,
    reason,
)
from eagle_bench.launch import registry as schema
from eagle_bench.launch import slurm
from eagle_bench.launch.arguments import check_choices, how_to_quote, refused_argument
from eagle_bench.launch.multirun import with_flag_first
from eagle_bench.launch.suggest import suggestion
from eagle_bench.machine.signals import end_in_a_sentence, exit_code
from eagle_bench.records.scrub import scrub

C = TypeVar("C")
FULL_ERROR = "HYDRA_FULL_ERROR"
RESOLVING = re.compile(r"^\w+ raised while resolving interpolation: ")
UNUSABLE_FOLDER = {
    errno.EACCES,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


def nothing() -> None:
    """What most commands do at their end."""


def hydra_command(
    task: Callable[[C], object],
    config_name: str,
    *,
    interrupted: str = "interrupted.",
    at_the_end: Callable[[], None] = nothing,
) -> Callable[[], None]:
    """A console command that runs `task` on the validated config of each job.

    Parameters
    ----------
    task : callable
        Gets the schema's dataclass. It should import what is heavy inside, so that `--help`
        and `--cfg` stay instant. Raises `UserError` or `RunFailure`.
    config_name : str
        The primary config, a file in `conf/` without its suffix.
    interrupted : str
        What is said after Ctrl-C, SIGTERM or SIGHUP.
    at_the_end : callable
        Called when the work is over, whatever became of it.

    Returns
    -------
    callable
        Reads `sys.argv`; ends with `SystemExit` unless all went well.
    """

    def main() -> None:
        verbose = os.environ.get(FULL_ERROR, "0") not in ("", "0")
        codes: list[int] = []

        def job(composed: DictConfig) -> object:
            try:
                result = task(cast(C, _validated(composed)))
            except Exception as error:
                codes.append(_tell(error, verbose))
                if HydraConfig.get().mode is RunMode.RUN:
                    raise SystemExit(codes[0]) from None
                raise
            codes.append(0)
            return result

        print_whatever_it_can_show()
        end_in_a_sentence()
        if "--version" in sys.argv[1:]:
            print(f"eagle_bench {__version__}")
            return
        try:
            sys.argv = with_flag_first(sys.argv)
            check_choices(sys.argv[1:], Path(schema.CONF))
        except UserError as error:
            raise SystemExit(_tell(error, verbose)) from None
        schema.register(config_name)
        start = hydra.main(version_base="1.3", config_path=schema.CONF, config_name=config_name)
        code = 0
        try:
            with _hydra_raises(), slurm.plain_failures():
                start(job)()
        except KeyboardInterrupt as interrupt:
            print(f"eagle_bench: {interrupted}", file=sys.stderr, flush=True)
            code = exit_code(interrupt)
        except OutOfTime as end:
            print(f"eagle_bench: {end}", file=sys.stderr, flush=True)
            code = 1
        except SystemExit as end:
            code = int(end.code or 0)
        except Exception as error:
            code = _outcome(codes, error, verbose)
        try:
            at_the_end()
        except Exception as error:
            told = _tell(error, verbose)
            code = code or told
        if code:
            raise SystemExit(code)

    return main


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Inside, Hydra raises its errors instead of printing them and exiting with 1."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = before


def _validated(composed: DictConfig) -> Any:
    """The dataclass of a composed config, its `__post_init__` checks passed."""
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(_sentence(error)) from error
    _refuse_unknown(config)
    return config


def _refuse_unknown(value: Any) -> None:
    """Raise `UserError` for a key that `+key=value` forced past the schema."""
    if not is_dataclass(value):
        return
    for key, item in vars(value).items():
        if key not in {field.name for field in fields(value)}:
            raise UserError(f"Key '{key}' not in '{type(value).__name__}'.")
        _refuse_unknown(item)


def _outcome(codes: list[int], error: Exception, verbose: bool) -> int:
    """The exit code after Hydra raised: jobs' errors were told as they came."""
    if any(codes):
        return 2 if all(code == 2 for code in codes) else 1
    told = _tell(error, verbose, outside_a_job=True)
    # A bare UserError here is one of many jobs', run by a launcher in another process.
    return 1 if isinstance(error, UserError) else told


def _tell(error: Exception, verbose: bool, outside_a_job: bool = False) -> int:
    """Report an error on stderr, in a sentence when it is one to be expected, and grade it."""
    users = isinstance(error, UserError) or (outside_a_job and _users_mistake(error))
    expected = users or isinstance(error, RunFailure | OSError)
    if verbose or not expected:
        print(scrub("".join(traceback.format_exception(error))), file=sys.stderr)
    kind = "" if expected else f"{type(error).__name__}: "
    print(f"eagle_bench: {kind}{printable(scrub(_sentence(error)))}", file=sys.stderr, flush=True)
    return 2 if users else 1


def _users_mistake(error: Exception) -> bool:
    """True for what goes wrong while Hydra reads the command line and makes the folder."""
    if isinstance(error, (ValueError, HydraException, OmegaConfBaseException)):
        return True
    return isinstance(error, OSError) and error.errno in UNUSABLE_FOLDER


def _sentence(error: BaseException) -> str:
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
