"""`--help`: every setting of a command as composed, what it means and what it can be.

All of it stands elsewhere once: the meanings in the docstrings of the settings classes, the
choices in their types and in `conf/`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from textwrap import wrap
from typing import Any, cast, get_type_hints

from omegaconf import DictConfig, OmegaConf

from eagle_bench.config.run import RunConfig
from eagle_bench.launch.registry import presets

ATTRIBUTE = re.compile(r"^(\w[\w, ]*) : .*\n((?:    .*\n?)+)", re.MULTILINE)
COLUMN, WIDTH = 34, 100
LAST = """
Several values of a setting and -m make a sweep: -m gen_len=50,100,200. What each choice of a group
is for says `eagle-bench presets`, which studies -m +experiment=NAME runs `eagle-bench presets
experiment`. `--cfg job` prints the settings as YAML. `-v` tells every generation, and of a failure
where in the code it was."""


def help_text(program: str, config: DictConfig) -> str:
    """What `program --help` prints for the composed `config`."""
    chosen = {key: name for key, name in config.hydra.runtime.choices.items() if "/" not in key}
    kinds = {key: OmegaConf.get_type(config, key) for key in map(str, config) if key != "hydra"}
    lines = [f"{program} [-m] [SETTING=VALUE ...]", "", *_settings(config, "")]
    groups = [key for key, kind in kinds.items() if is_dataclass(kind)]
    for group in dict.fromkeys([*groups, *chosen]):
        purpose = (inspect.getdoc(kinds[group]) or "").partition("\n")[0] if group in kinds else ""
        name = f"{group}={chosen[group]}" if group in chosen else group
        names = [file.stem for file in presets(group)]
        lines += ["", *_entry(name, f"{purpose} {_choices(names)}")]
        if group in kinds:
            lines += _settings(config[group], f"{group}.")
    return "\n".join([*lines, LAST])


def meanings(kind: Any) -> dict[str, str]:
    """What each attribute of a settings class means, those of its bases included."""
    found: dict[str, str] = {}
    for each in reversed(inspect.getmro(kind)):
        for names, text in ATTRIBUTE.findall(inspect.cleandoc(each.__doc__ or "")):
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


def _settings(node: DictConfig, above: str) -> Iterator[str]:
    """Lines on each setting that `node` itself holds, but for the name of a group's choice.

    What has no meaning of its own here means what it does for a run.
    """
    kind = OmegaConf.get_type(node)
    meaning, types = meanings(RunConfig) | meanings(kind), get_type_hints(kind)
    plain = cast(dict[str, Any], OmegaConf.to_container(node, enum_to_str=True))
    for key, value in plain.items():
        name = f"{above}{key}"
        if name in types and is_dataclass(types[name]) or key == "hydra" or above and key == "name":
            continue
        options = [each.value for each in types[key]] if _is_enum(types[key]) else []
        yield from _entry(f"{name}={_text(value)}", f"{meaning.get(key, '')} {_choices(options)}")


def _is_enum(of: Any) -> bool:
    return isinstance(of, type) and issubclass(of, Enum)


def _choices(names: list[str]) -> str:
    return f"({' | '.join(names)})" if names else ""


def _text(value: Any) -> str:
    """A value as it is typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value).replace(" ", "").replace("'", "")


def _entry(name: str, about: str) -> list[str]:
    """`name`, and in a column of its own what is said about it."""
    told = wrap(about, WIDTH - COLUMN)
    first = [] if len(name) < COLUMN else [name]
    lines = [" " * COLUMN + line for line in told]
    if not first and lines:
        lines[0] = name.ljust(COLUMN) + told[0]
    return [*first, *lines] or [name]
