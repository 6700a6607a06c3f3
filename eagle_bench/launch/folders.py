"""Where a job's results go: folders named by what is measured, so that it is measured once.

The same settings lead to the same folder, whoever asks and whenever: a finished job is found and
skipped, an interrupted one goes on. With `resume=false` the time is part of the name. Hydra asks
for the names through the resolvers `job_folder` and `sweep_folder` (`conf/config.yaml`).
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from eagle_bench.config.run import RESULT_IRRELEVANT, RunConfig
from eagle_bench.config.values import check_name, plain
from eagle_bench.errors import UserError
from eagle_bench.records.identity import config_hash

INVALID = "invalid"
LONGEST_NAME = 100
"""Characters that the swept keys may take of a folder's name, which may have 255."""


def register() -> None:
    """Make the resolvers known. Hydra keeps a sweep's first answer for all jobs of the sweep."""
    OmegaConf.register_new_resolver("named", named, replace=True)
    OmegaConf.register_new_resolver("leading", leading, replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)
    OmegaConf.register_new_resolver("sweep_folder", sweep_folder, use_cache=True, replace=True)


def named(output_dir: str) -> str:
    """The folder itself.

    Raises
    ------
    UserError
        It is empty, which would be the root of the disk.
    """
    if not str(output_dir).strip():
        raise UserError("output_dir is empty; name a folder, or leave it away.")
    return output_dir


def leading(name: str | None) -> str:
    """What `name` puts before a folder's name.

    Raises
    ------
    UserError
        It cannot stand in a folder's name.
    """
    check_name(name)
    return f"{name}-" if name else ""


def job_folder(now: str, _root_: DictConfig) -> str:
    """`METHOD-GEN_LEN-HASH`; `invalid-HASH` for settings that no job will measure."""
    settings = job_settings(_root_)
    try:
        config = OmegaConf.to_object(settings)
    except (UserError, OmegaConfBaseException):
        return f"{INVALID}-{_digest(OmegaConf.to_container(settings))}"
    assert isinstance(config, RunConfig)
    name = f"{config.decoding.name}-{config.gen_len}-{config_hash(plain(config))}"
    return name if config.resume else f"{name}-{now}"


def job_settings(composed: DictConfig) -> DictConfig:
    """A copy of a composed job without Hydra's own part."""
    settings = copy.deepcopy(composed)
    with read_write(settings), open_dict(settings):
        del settings["hydra"]
    return settings


def sweep_folder(
    now: str, resume: bool, overrides: Sequence[str], params: Mapping[str, Any] | None, choices: Any
) -> str:
    """`NAME-HASH`: the experiment or the swept keys, and a hash of what the command asked for.

    Parameters
    ----------
    now : str
        Part of the name unless `resume`.
    overrides : sequence of str
        Of the command line.
    params : mapping or None
        What is swept by `hydra.sweeper.params`.
    choices : mapping
        The choice of every config group.
    """
    given = OverridesParser.create().parse_overrides(list(overrides))
    relevant = [each for each in given if each.key_or_group not in RESULT_IRRELEVANT]
    swept = [str(each.key_or_group) for each in relevant if each.is_sweep_override()]
    swept += [key for key in params or {} if key not in swept]
    asked = sorted(str(each.input_line) for each in relevant)
    leaves = "-".join(key.replace("/", ".").rpartition(".")[2] for key in swept)[:LONGEST_NAME]
    named = choices.get("experiment") or leaves or "jobs"
    name = f"{named}-{_digest([asked, dict(params or {}), named])}"
    return name if resume else f"{name}-{now}"


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
