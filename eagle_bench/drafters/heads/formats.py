"""The formats of the field, as tables: how each is told, and what its names mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagle_bench.errors import UserError

EPOCH_FOLDER = re.compile(r"epoch_\d+_step_\d+")


@dataclass(frozen=True)
class Evidence:
    """What a format is told by: the folder, its config, and its keys without prefixes."""

    folder: Path
    config: Mapping[str, Any]
    keys: frozenset[str]

    @property
    def architecture(self) -> str:
        return str((self.config.get("architectures") or [""])[0])


@dataclass(frozen=True)
class Format:
    """One on-disk format.

    Attributes
    ----------
    renames : tuple of (str, str)
        Beginnings of keys, and what they are in the house's names (`layers.0.`, ...).
    ignored : tuple of str
        Beginnings of keys that carry nothing a head needs.
    aux_ids : str
        What a layer id in its config names: the `input` of that layer, or its `output`.
    names_aux : bool
        Whether its configs name the layers that are read; where they never do, the default is
        no guess.
    two_norm_outputs : bool
        Whether its `norm_output` may be SpecForge's of before September 2026.
    generation : int
        1 for EAGLE-1/2, which pairs nothing before its layer; 3 for EAGLE-3.
    section : str or None
        Where in the config the layer's sizes are, when not at its top.
    """

    name: str
    title: str
    matches: Callable[[Evidence], bool]
    renames: tuple[tuple[str, str], ...] = (("midlayer.", "layers.0."),)
    ignored: tuple[str, ...] = ()
    aux_ids: str = "input"
    names_aux: bool = True
    two_norm_outputs: bool = True
    generation: int = 3
    section: str | None = None


def _is_speculators(seen: Evidence) -> bool:
    return "speculators_model_type" in seen.config


def _is_eagle1(seen: Evidence) -> bool:
    paired = any(key.endswith(".hidden_norm.weight") for key in seen.keys)
    return not paired and "draft_vocab_size" not in seen.config


def _is_modelopt(seen: Evidence) -> bool:
    made_for = seen.architecture == "LlamaForCausalLMEagle3" or "eagle_config" in seen.config
    return made_for and any(key.startswith("layers.0.") for key in seen.keys)


def _is_angelslim(seen: Evidence) -> bool:
    return seen.architecture.startswith("Eagle3")


def _is_deepspec(seen: Evidence) -> bool:
    return seen.architecture.endswith("Eagle3Model") and "target_layer_ids" in seen.config


def _is_specforge(seen: Evidence) -> bool:
    by_name = EPOCH_FOLDER.fullmatch(seen.folder.resolve().name) is not None
    return by_name or seen.architecture.endswith(("ForCausalLMEagle3", "PEagleDraftModel"))


FORMATS: tuple[Format, ...] = (
    Format(
        "speculators",
        "speculators / RedHatAI",
        _is_speculators,
        renames=(),
        ignored=("verifier_lm_head.", "verifier_norm."),
        two_norm_outputs=False,
        section="transformer_layer_config",
    ),
    Format("eagle1", "EAGLE-1/2", _is_eagle1, renames=(), generation=1),
    Format(
        "modelopt",
        "NVIDIA ModelOpt",
        _is_modelopt,
        renames=(("eagle_lm_head.", "lm_head."), ("draft_id_to_target_id", "d2t")),
        aux_ids="output",
    ),
    Format("specforge", "SpecForge", _is_specforge, aux_ids="output"),
    Format("deepspec", "DeepSpec EAGLE-3", _is_deepspec, renames=()),
    Format("angelslim", "AngelSlim", _is_angelslim, aux_ids="output"),
    Format("safeailab", "SafeAILab EAGLE-3", lambda _: True, names_aux=False),
)
"""In the order of their trial: the first that matches wins."""

PREFIXES = ("module.", "draft_model.", "eagle_module.", "model.")
WRAPPERS = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
IGNORED = ("rotary_emb.",)


def bare(keys: Iterable[str]) -> dict[str, str]:
    """Each key without the wrappers that trainers leave on it, to the key itself.

    Raises
    ------
    UserError
        Two keys are the same one without their wrappers.
    """
    result: dict[str, str] = {}
    for key in keys:
        name = WRAPPERS.sub("", key)
        while prefix := next((p for p in PREFIXES if name.startswith(p)), None):
            name = name.removeprefix(prefix)
        if name in result:
            raise UserError(
                f"The checkpoint holds {name} twice, as {result[name]} and as {key}; keep one."
            )
        result[name] = key
    return result


def detect(folder: Path, config: Mapping[str, Any], keys: Iterable[str]) -> Format:
    """The format of a folder whose bare keys are `keys`."""
    seen = Evidence(folder, config, frozenset(keys))
    return next(form for form in FORMATS if form.matches(seen))


def house_name(form: Format, key: str) -> str | None:
    """What `key` is called here; None when it carries nothing a head needs."""
    if key.startswith((*IGNORED, *form.ignored)) or ".rotary_emb." in key:
        return None
    for old, new in form.renames:
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


def format_name(form: Format, name: str) -> str:
    """The inverse of `house_name`."""
    for old, new in form.renames:
        if name.startswith(new):
            return old + name.removeprefix(new)
    return name


def by_name(name: str) -> Format:
    """The format called `name`."""
    return next(form for form in FORMATS if form.name == name)
