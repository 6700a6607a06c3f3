"""What every Hydra command shares: compose, validate, hand over, and one honest exit code.

0: all went well. 1: the work failed. 2: the user's mistake, told in one sentence on stderr.
In a multirun a failed job does not stop the others; the code is 2 when every job was refused
and 1 when some other mixture failed. `-v` (or `HYDRA_FULL_ERROR=1`) adds every traceback.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from eagle_bench import __version__
from eagle_bench.config.words import HELP
from eagle_bench.errors import (
    DOCUMENT,
    OutOfTime,
    RunFailure,
    UserError,
    print_whatever_it_can_show,
    stop_printing,
    tell,
)
from eagle_bench.launch import registry as schema
from eagle_bench.launch import slurm
from eagle_bench.launch.arguments import check_choices
from eagle_bench.launch.help import help_text
from eagle_bench.launch.multirun import FLAGS, with_flag_first
from eagle_bench.launch.planning import composed
from eagle_bench.launch.sentences import sentence
from eagle_bench.machine.signals import end_in_a_sentence, exit_code
from eagle_bench.records.scrub import scrub

C = TypeVar("C")
FULL_ERROR = "HYDRA_FULL_ERROR"
VERBOSE = "EAGLE_BENCH_VERBOSE"
"""Set by `-v`, for the jobs of a sweep wherever they run."""
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
        sys.argv = with_flag_taken(sys.argv)
        asked = "output=json" in sys.argv
        verbose = any(os.environ.get(each, "0") not in ("", "0") for each in (FULL_ERROR, VERBOSE))
        codes: list[int] = []

        def job(composed: DictConfig) -> object:
            try:
                result = task(cast(C, validated(composed)))
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
            check_choices(sys.argv[1:])
            if HELP & {*sys.argv}:
                _show_help(config_name, *sys.argv)
                return
        except UserError as error:
            DOCUMENT.end(asked, _tell(error, verbose))
            raise SystemExit(2) from None
        schema.register(config_name)
        start = hydra.main(version_base="1.3", config_path=schema.CONF, config_name=config_name)
        code = 0
        try:
            with _hydra_raises(), slurm.plain_failures():
                start(job)()
        except KeyboardInterrupt as interrupt:
            tell(interrupted)
            code = exit_code(interrupt)
        except OutOfTime as end:
            tell(str(end))
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
        DOCUMENT.end(asked, code)
        if code:
            raise SystemExit(code)

    return main


def _show_help(config_name: str, program: str, *words: str) -> None:
    given = [word for word in words if word not in {*FLAGS, *HELP}]
    config = composed(config_name, given, RunMode.MULTIRUN)
    try:
        print(help_text(f"eagle-bench {Path(program).stem.split()[-1]}", config), flush=True)
    except BrokenPipeError:
        stop_printing()


def with_flag_taken(words: list[str]) -> list[str]:
    """The arguments without `-v`, which is noted for every process of this command."""
    rest = [word for word in words if word not in ("-v", "--verbose")]
    if rest != words:
        os.environ[VERBOSE] = "1"
    return rest


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


def validated(composed: DictConfig) -> Any:
    """The dataclass of a composed config, its `__post_init__` checks passed.

    Raises
    ------
    UserError
        A setting has a wrong value.
    """
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(sentence(error)) from error
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
    tell(f"{kind}{scrub(sentence(error))}")
    return 2 if users else 1


def _users_mistake(error: Exception) -> bool:
    """True for what goes wrong while Hydra reads the command line and makes the folder."""
    if isinstance(error, (ValueError, HydraException, OmegaConfBaseException)):
        return True
    return isinstance(error, OSError) and error.errno in UNUSABLE_FOLDER
