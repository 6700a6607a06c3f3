"""The group `drafter`: one class for each kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar

from omegaconf import MISSING

from eagle_bench import assets
from eagle_bench.config.values import Attention, HeadKind, ReadAs, at_least
from eagle_bench.errors import UserError


@dataclass
class DrafterConfig:
    """What proposes the tokens that the target verifies.

    Attributes
    ----------
    branches : bool
        Whether it knows several continuations, with a distribution over them.
    greedy_only : bool
        Whether it has nothing to propose at a temperature.
    at_once : bool
        Whether it drafts all levels in one pass, and so is built for their number.
    path : str or None
        Its folder, file or hub id; null: what ships under that name.
    is_head, is_network : bool
        Whether it is an EAGLE head that drafts level by level; whether it can be judged on any
        text.
    """

    branches: ClassVar[bool] = True
    greedy_only: ClassVar[bool] = False
    at_once: ClassVar[bool] = False
    is_head: ClassVar[bool] = False
    is_network: ClassVar[bool] = False

    name: str = MISSING

    def checkpoints(self) -> dict[str, str]:
        """Folders, hub ids and files that it reads, by role."""
        return {}


SHIPPED = {
    "embedded": assets.EAGLE3,
    "smollm2": assets.SMOLLM2_EAGLE3,
    "embedded_p_eagle": assets.P_EAGLE,
    "embedded_dflash": assets.DFLASH,
}
"""Heads that ship, by their `drafter.name`."""


@dataclass
class Eagle3Config(DrafterConfig):
    """An EAGLE head from a checkpoint folder.

    Null in `aux_layers`, `rope_theta` and the norm flags means: as the folder says, or with
    `reading=auto` as the pre-flight finds where the folder leaves it open.

    Attributes
    ----------
    vocab_mapping : str or None
        A file with the draft vocabulary, for folders that bring none.
    aux_layers : list of int or None
        The target's boundaries that the head reads; null: as the folder says.
    attention : Attention
        Of the head.
    embedding_key : str or None
        The folder's tensor that holds its embeddings; null: found by name, else the target's.
    rope_theta : float or None
        The base of its rotary embedding; null: as the folder says.
    norm_before_residual : bool or None
        Whether the residual is taken behind the norm; null: as the folder says.
    norm_output : bool or None
        Whether its output is normed before it is read again; null: as the folder says.
    reading : ReadAs
        auto: a reading that the pre-flight finds better is taken, where the folder allows it.
    """

    is_head: ClassVar[bool] = True
    is_network: ClassVar[bool] = True
    kind: ClassVar[HeadKind] = HeadKind.eagle3

    path: str | None = None
    vocab_mapping: str | None = None
    aux_layers: list[int] | None = None
    attention: Attention = Attention.sdpa
    embedding_key: str | None = None
    rope_theta: float | None = None
    norm_before_residual: bool | None = None
    norm_output: bool | None = None
    reading: ReadAs = ReadAs.auto

    def checkpoints(self) -> dict[str, str]:
        named = {"drafter": self.path or str(SHIPPED.get(self.name, assets.EAGLE3))}
        return named | ({"vocabulary map": self.vocab_mapping} if self.vocab_mapping else {})

    def said_mask(self) -> int | None:
        """The mask token, where the user names it."""
        return None


@dataclass
class PEagleConfig(Eagle3Config):
    """A P-EAGLE head: all levels of a draft in one pass (arXiv 2602.01469).

    Attributes
    ----------
    mask_token : int or None
        For folders that do not name it.
    """

    at_once: ClassVar[bool] = True
    is_head: ClassVar[bool] = False
    kind: ClassVar[HeadKind] = HeadKind.p_eagle

    mask_token: int | None = None

    def said_mask(self) -> int | None:
        return self.mask_token


@dataclass
class DFlashConfig(DrafterConfig):
    """A DFlash head: a block of tokens in one pass (arXiv 2602.06036).

    `path: null` is the shipped head of that name.
    """

    at_once: ClassVar[bool] = True

    path: str | None = None

    def checkpoints(self) -> dict[str, str]:
        folder = self.path or SHIPPED.get(self.name)
        return {} if folder is None else {"drafter": str(folder)}


@dataclass
class PromptLookupConfig(DrafterConfig):
    """The continuation of the latest earlier occurrence of the context's last n-gram.

    Attributes
    ----------
    max_ngram, min_ngram : int
        The longest and the shortest n-gram that is looked for.
    """

    branches: ClassVar[bool] = False

    max_ngram: int = 3
    min_ngram: int = 1

    def __post_init__(self) -> None:
        at_least("drafter.min_ngram", self.min_ngram, 1)
        at_least("drafter.max_ngram", self.max_ngram, self.min_ngram)


@dataclass
class DraftModelConfig(DrafterConfig):
    """Any causal LM with the target's tokenizer.

    Attributes
    ----------
    trust_remote_code : bool
        Runs the modelling code that the checkpoint brings.
    """

    is_network: ClassVar[bool] = True

    path: str | None = None
    trust_remote_code: bool = False

    def checkpoints(self) -> dict[str, str]:
        return {"drafter": self.path or str(assets.DRAFT_MODEL)}


@dataclass
class OracleConfig(DrafterConfig):
    """Always right: proposes the recorded baseline. The ceiling on this machine."""

    branches: ClassVar[bool] = False
    greedy_only: ClassVar[bool] = True


@dataclass
class RandomConfig(DrafterConfig):
    """Uniformly random tokens. The floor on this machine.

    Attributes
    ----------
    seed : int
        Of the tokens.
    """

    seed: int = 0


@dataclass
class PythonConfig(DrafterConfig):
    """A class of your own, made as `Class(target, **settings)`.

    It does what `eagle_bench.drafters.drafter.Drafter` says. Its module is part of what a result
    rests on.

    Attributes
    ----------
    source : str
        As `package.module:Class`.
    settings : dict
        What the class is made with.
    """

    source: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    branches: bool = True  # type: ignore[misc]
    greedy_only: bool = False  # type: ignore[misc]

    def checkpoints(self) -> dict[str, str]:
        module = self.source.partition(":")[0]
        try:
            found = find_spec(module)
        except (ImportError, ValueError):
            found = None
        if found is None or found.origin is None:
            raise UserError(
                f"drafter.source={self.source}: Python finds no module {module!r}; "
                "drafter.source=PACKAGE.MODULE:CLASS names one that is installed or on PYTHONPATH."
            )
        return {"drafter code": found.origin}


DRAFTERS: dict[str, type[DrafterConfig]] = {
    "eagle3": Eagle3Config,
    "p_eagle": PEagleConfig,
    "dflash": DFlashConfig,
    "prompt_lookup": PromptLookupConfig,
    "draft_model": DraftModelConfig,
    "oracle": OracleConfig,
    "random": RandomConfig,
    "python": PythonConfig,
}

HEADS: dict[HeadKind, type[Eagle3Config]] = {
    HeadKind.eagle3: Eagle3Config,
    HeadKind.p_eagle: PEagleConfig,
}
"""The settings that a head of each kind takes."""
