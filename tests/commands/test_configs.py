"""Every YAML composes, validates and resolves to what its snapshot says.

`pytest --snapshot-update` writes the snapshots anew: a changed default is one changed line there.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict, read_write
from syrupy.assertion import SnapshotAssertion

from eagle_bench.config.run import LATER
from eagle_bench.config.values import plain
from eagle_bench.drafters.build import check_combination
from eagle_bench.errors import UserError
from eagle_bench.launch import registry as schema
from eagle_bench.records.identity import config_hash
from eagle_bench.results.flatten import flatten

CONF = Path(schema.CONF)
PRIMARIES = sorted(file.stem for file in CONF.glob("*.yaml"))
CHOICES = sorted(
    (file.parent.relative_to(CONF).as_posix(), file.stem) for file in CONF.glob("*/**/*.yaml")
)
PRIMARY_OF = {"training": "train"}
"""Groups that another command than `run` chooses from."""

SHOWN_OF_HYDRA = ("launcher", "sweeper.params")
ABSENT = "(absent)"


schema.register()


@cache
def settings(primary: str, *overrides: str) -> tuple[Any, dict[str, Any]]:
    """The job's settings as the schema's dataclass, and what `--cfg job --resolve` shows.

    The latter by dotted key, with what is swept and how it is launched.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(primary, overrides=list(overrides), return_hydra_config=True)
    hydra = {key: OmegaConf.select(config.hydra, key) for key in SHOWN_OF_HYDRA}
    with read_write(config), open_dict(config):
        del config["hydra"]
    typed = OmegaConf.to_object(config)
    assert dataclasses.is_dataclass(typed), f"{primary} has no schema"
    job = OmegaConf.to_container(config, resolve=True, enum_to_str=True, throw_on_missing=True)
    assert isinstance(job, dict)
    job["hydra"] = {
        key: OmegaConf.to_container(value, enum_to_str=True)
        for key, value in hydra.items()
        if value
    }
    return typed, flatten({str(key): value for key, value in job.items()})


def lines(values: dict[str, Any]) -> str:
    return "\n".join(f"{key}: {value}" for key, value in values.items())


def override(group: str, choice: str) -> str:
    return f"+{group}={choice}" if group == "experiment" else f"{group}={choice}"


@pytest.mark.parametrize("primary", PRIMARIES)
def test_every_command_s_settings(primary: str, snapshot: SnapshotAssertion) -> None:
    _, resolved = settings(primary)
    text = lines(resolved)
    assert not machine_paths(text)
    assert text == snapshot


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice(group: str, choice: str, snapshot: SnapshotAssertion) -> None:
    """Shown is what it changes in the command's settings."""
    primary = PRIMARY_OF.get(group, "config")
    _, usual = settings(primary)
    _, chosen = settings(primary, override(group, choice))
    changed = {
        key: chosen.get(key, ABSENT)
        for key in usual | chosen
        if usual.get(key, ABSENT) != chosen.get(key, ABSENT)
    }
    text = lines(changed)
    assert not machine_paths(text)
    assert text == snapshot


def machine_paths(text: str) -> list[str]:
    """Absolute paths, and folders of whoever works here."""
    own = [str(place) for place in (Path.home(), CONF.parent) if str(place) in text]
    return own + re.findall(r"(?:^|[\s'\",:\[])(/\w[\w./-]*|[A-Z]:\\\S+)", text)


@pytest.mark.parametrize("planted", ["path: /data/heads", f"a: {Path.home()}", "files: ['/x/y']"])
def test_a_machine_path_would_be_found(planted: str) -> None:
    assert machine_paths(planted)
    assert not machine_paths("path: outputs/train\nhub: HuggingFaceH4/mt_bench_prompts/raw")


def test_no_yaml_lies_where_no_test_looks() -> None:
    root = CONF.parent
    seen = {CONF / f"{name}.yaml" for name in PRIMARIES}
    seen |= {CONF / group / f"{choice}.yaml" for group, choice in CHOICES}
    folders = (CONF, root / "experiments", root / "eagle_bench")
    assert {file for folder in folders for file in folder.rglob("*.y*ml")} == seen


@pytest.mark.parametrize("method", ["two_pass", "one_pass"])
@pytest.mark.parametrize(
    ("setting", "telling"),
    [
        ("drafter=prompt_lookup", "needs an EAGLE head"),
        ("temperature=0.5", "is greedy"),
        ("batch_size=2", "one prompt at a time"),
    ],
)
def test_what_a_method_without_a_cache_cannot_do(method: str, setting: str, telling: str) -> None:
    config, _ = settings("config", f"decoding={method}", setting)
    with pytest.raises(UserError, match=rf"decoding={method} .*{telling}"):
        check_combination(config)


@pytest.mark.parametrize("method", ["two_pass", "one_pass"])
def test_what_it_can_do(method: str) -> None:
    config, _ = settings("config", f"decoding={method}")
    check_combination(config)


@pytest.mark.parametrize(
    ("asked", "hashed"),
    [
        ((), "a25728b888853fba"),
        (("drafter=eagle3", "drafter.path=x"), "3dd8a5bddec0b1cd"),
        (("drafter=draft_model",), "90b5f8de90bb8a6a"),
        (("drafter=prompt_lookup", "decoding=chain"), "a4297ec84496e2ed"),
    ],
)
def test_an_upgrade_orphans_no_folder(asked: tuple[str, ...], hashed: str) -> None:
    """The hashes are those of commit bb9d868; a setting that is new since stands in `LATER`."""
    assert config_hash(plain(settings("config", *asked)[0])) == hashed


@pytest.mark.parametrize("primary", ["config", "proxy", "distribution"])
@pytest.mark.parametrize("typed", ["={effort: low}", ".effort=low"])
def test_a_templates_variables_need_no_plus(primary: str, typed: str) -> None:
    asked = settings(primary, f"chat_template_kwargs{typed}")[0]
    assert asked.chat_template_kwargs == {"effort": "low"}


def test_a_later_setting_counts_off_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LATER, "measure.later", None)
    before = {"gen_len": 8, "measure": {"costs": False}}
    at_default = {"gen_len": 8, "measure": {"costs": False, "later": None}}
    changed = {"gen_len": 8, "measure": {"costs": False, "later": 3}}
    assert config_hash(before) == config_hash(at_default) != config_hash(changed)
