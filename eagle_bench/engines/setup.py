"""Before anything is measured: prompts and models loaded, checked, described."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import dtype_name
from eagle_bench.data.loader import load_prompts
from eagle_bench.data.prompt import PromptSet
from eagle_bench.drafters.build import check_combination
from eagle_bench.engines.build import check_engine
from eagle_bench.engines.fit import fitting
from eagle_bench.engines.heritage import other_target
from eagle_bench.engines.lengths import to_length
from eagle_bench.engines.session import Loader, Session
from eagle_bench.errors import UserError
from eagle_bench.machine.provenance import capture


class Listener(Protocol):
    """Hears what a person should know."""

    def say(self, line: str) -> None: ...

    def phase(self, what: str) -> AbstractContextManager[None]:
        """Tells that `what` begins, and how long it took."""
        ...


@dataclass
class Setup:
    """What a job works on.

    Attributes
    ----------
    config : RunConfig
        As asked for, but its `batch_size` is never more than the prompts.
    provenance : dict
        Where it runs and with what, plain JSON types; grows while the job goes on.
    """

    config: RunConfig
    session: Session
    prompts: PromptSet
    provenance: dict[str, Any]


def inputs(config: RunConfig, loader: Loader, prompts: PromptSet) -> dict[str, str]:
    """SHA-256 of everything that `config` names on this machine's disk, by role."""
    return loader.fingerprints(config) | {"prompts": prompts.sha256}


def chosen_prompts(config: RunConfig) -> PromptSet:
    """The prompts that `config` asks for, before it is known which of them fit."""
    return load_prompts(config.dataset, config.num_samples, config.seed)


def prepare(config: RunConfig, prompts: PromptSet, loader: Loader, listener: Listener) -> Setup:
    """Load and check everything.

    Raises
    ------
    UserError
        Something that the user can mend.
    """
    check_combination(config)
    check_engine(config)
    session = loader.session(config, listener.phase)
    _check_depth(config, session)
    for remark in session.remarks:
        listener.say(remark)
    other = other_target(config)
    if other is not None:
        listener.say(other)
    with listener.phase(f"encoding {len(prompts.prompts)} prompts"):
        if config.dataset.prompt_tokens is not None:
            prompts = to_length(prompts, session.chat, config.dataset.prompt_tokens)
        prompts = fitting(prompts, session, config)
    for reason, count in prompts.skipped.items():
        total = count + len(prompts.prompts)
        listener.say(f"{count} of {total} prompts left out: {reason}")
    for warning in session.drafter.report.get("warnings", ()):
        listener.say(f"the drafter: {warning}")
    return Setup(
        _capped(config, len(prompts.prompts), listener),
        session,
        prompts,
        _provenance(session, prompts),
    )


def _capped(config: RunConfig, prompts: int, listener: Listener) -> RunConfig:
    """A batch has no more rows than there are prompts, nor a cache for more."""
    if config.batch_size <= prompts:
        return config
    listener.say(
        f"batch_size={config.batch_size} is more than the prompts: all {prompts} run at once"
    )
    return replace(config, batch_size=prompts)


def _check_depth(config: RunConfig, session: Session) -> None:
    key = config.decoding.depth_key
    for role, room in session.rooms().items():
        if key is not None and config.decoding.levels > room:
            raise UserError(
                f"decoding.{key}={config.decoding.levels} is more than the {role}'s {room} "
                "positions; lower it."
            )


def _provenance(session: Session, prompts: PromptSet) -> dict[str, Any]:
    spec = session.target.spec
    return capture(str(spec.device)) | {
        "target": {
            "name": spec.name,
            "architecture": spec.architecture,
            "implementation": spec.implementation,
            "packed_from_rows": spec.packed_from_rows,
            "parameters": spec.parameters,
            "weight_bytes": spec.weight_bytes,
            "layers": spec.num_layers,
            "dtype": dtype_name(spec.dtype),
            "device": str(spec.device),
            "aux_layers": list(spec.aux_layers),
            "remarks": session.remarks,
        },
        "drafter": session.drafter.report,
        "checkpoints_sha256": session.checkpoints,
        "dataset": {
            "name": prompts.name,
            "sha256": prompts.sha256,
            "prompts": len(prompts.prompts),
            "skipped": prompts.skipped,
        },
        "chat_template": session.chat.name,
        "foreign_markers": list(session.chat.foreign_markers),
    }
