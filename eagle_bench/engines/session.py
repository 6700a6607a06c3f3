"""What a job needs loaded; jobs of one process share it when they ask for the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import Compile, plain
from eagle_bench.data.chat import ChatFormat, chat_format, template_file
from eagle_bench.data.prompt import Prompt
from eagle_bench.drafters.build import BuiltDrafter, build_drafter, check_head
from eagle_bench.engines.shelf import Shelf
from eagle_bench.errors import UserError
from eagle_bench.machine.checkpoints import fingerprint, in_words, on_disk
from eagle_bench.models.load import load_target, resolve_device
from eagle_bench.models.target import Target

Kept = TypeVar("Kept")
Phase = Callable[[str], AbstractContextManager[None]]
"""Tells a person what begins, and how long it took."""


def unheard(what: str) -> AbstractContextManager[None]:
    """The phase of a job that nobody watches."""
    return nullcontext()


@dataclass
class Session:
    """A loaded target, drafter and chat format.

    Attributes
    ----------
    checkpoints : dict[str, str]
        SHA-256 of the checkpoints on this machine's disk, by role.
    shelf : Shelf
        The servers of the engine that runs it, where they are ours.
    """

    target: Target
    drafter: BuiltDrafter
    chat: ChatFormat
    checkpoints: dict[str, str]
    shelf: Shelf = field(default_factory=Shelf)

    @property
    def remarks(self) -> list[str]:
        """What a person should know of the target, and of how prompts become its tokens."""
        spec = self.target.spec
        said = [*spec.remarks, *self.chat.remarks]
        if spec.turn_end not in spec.eos_ids | {None}:
            token = self.chat.tokenizer.convert_ids_to_tokens(spec.turn_end)
            said.append(
                f"chat_template={self.chat.name} ends an answer with {token}, which the target's "
                "config does not call an end: generation stops there too."
            )
        return said

    def use(self, drafter: BuiltDrafter) -> None:
        """Draft with `drafter`, whose features the target gives from now on."""
        self.drafter = drafter
        if drafter.head is not None:
            layers = drafter.head.config.features_of(self.target.spec.num_layers)
            self.target.set_aux_layers(layers)

    def rooms(self) -> dict[str, int]:
        """The most tokens of prompt and output, by who sets the limit."""
        rooms = {"target": self.target.spec.max_positions}
        if self.drafter.max_positions is not None:
            rooms["draft model"] = self.drafter.max_positions
        return rooms

    def check_room(self, prompt: Prompt, tokens: int, gen_len: int, has: str = "has") -> None:
        """Raise `UserError` unless `tokens` of context, which it `has`, and `gen_len` more fit."""
        for role, room in self.rooms().items():
            if tokens + gen_len > room:
                raise UserError(
                    f"{prompt} {has} {tokens} tokens, and gen_len={gen_len} more go beyond the "
                    f"{role}'s {room} positions; lower gen_len, or leave such prompts out "
                    "with dataset.skip_long=true."
                )


@dataclass
class Loader:
    """Loads sessions, keeping the last target and drafter.

    Attributes
    ----------
    loads, saved : int
        Checkpoints loaded, and loads that were not needed because the last job had them.
    shelf : Shelf
        The servers that the last job started.
    """

    loads: int = 0
    saved: int = 0
    shelf: Shelf = field(default_factory=Shelf)
    _kept: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def session(self, config: RunConfig, phase: Phase = unheard) -> Session:
        """Everything `config` needs; each step that takes time is a `phase`.

        Raises
        ------
        UserError
            Something of it does not exist or does not fit.
        """
        device = self._device(config)
        torch.set_num_threads(config.threads or default_threads())
        settings = plain(config)
        found = self._on_disk(config)
        loads = self.loads
        target_key = str([settings["model"], config.dtype, str(device)])
        name = config.model.name

        def target_anew() -> Target:
            check_head(config.drafter, config.model)
            with phase(f"loading the target {name}, {in_words(found['target'])}"):
                return load_target(config.model, config.dtype, device)

        target = self._keep("target", target_key, target_anew)
        compiles = config.compile is Compile.draft
        compiled = compiles and (config.decoding.width, config.threads)
        levels = config.drafter.at_once and config.decoding.levels
        drafter_key = str([target_key, settings["drafter"], compiled, levels])

        def drafter_anew() -> BuiltDrafter:
            sizes = [in_words(found[role]) for role in config.drafter.checkpoints()]
            doing = "compiling" if compiles else "loading"
            with phase(", ".join([f"{doing} the drafter {config.drafter.name}", *sizes])):
                return build_drafter(
                    config.drafter, config.decoding, target, config.dtype, config.compile
                )

        drafter = self._keep("drafter", drafter_key, drafter_anew)
        chat = chat_format(
            target.tokenizer,
            config.chat_template,
            config.dataset.enable_thinking,
            config.chat_template_kwargs,
        )
        target.spec = replace(target.spec, turn_end=chat.turn_end())
        with phase("hashing the checkpoints") if self.loads > loads else nullcontext():
            checkpoints = self.fingerprints(config)
        session = Session(target, drafter, chat, checkpoints, self.shelf)
        session.use(drafter)
        return session

    def _device(self, config: RunConfig) -> torch.device:
        return resolve_device(config.device)

    def fingerprints(self, config: RunConfig) -> dict[str, str]:
        """SHA-256 of what `config` names on this machine's disk, by role; loads nothing."""
        found = self._on_disk(config)
        return {role: fingerprint(path) for role, path in found.items() if path is not None}

    def _on_disk(self, config: RunConfig) -> dict[str, Path | None]:
        """What `config` names, by role; None for what is not on this machine's disk."""
        target = config.model.checkpoint()
        found = {"target": on_disk(target, config.model.revision) if target else None}
        found |= {role: on_disk(path) for role, path in config.drafter.checkpoints().items()}
        return found | {"chat template": template_file(config.chat_template)}

    def _keep(self, role: str, key: str, load: Callable[[], Kept]) -> Kept:
        if role in self._kept and self._kept[role][0] == key:
            self.saved += 1
            kept: Kept = self._kept[role][1]
            return kept
        self._kept.pop(role, None)
        value = load()
        self.loads += 1
        self._kept[role] = (key, value)
        return value


class Sketcher(Loader):
    """Loads shapes alone, on torch's meta device: enough to check and to count. Hashes nothing."""

    def _device(self, config: RunConfig) -> torch.device:
        return torch.device("meta")

    def fingerprints(self, config: RunConfig) -> dict[str, str]:
        return {}


SHARED = Loader()
"""The loader of this process: jobs of one multirun share it."""


def default_threads() -> int:
    """The cores this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
