"""How a head is read: what its tensors do not decide, every choice with its reason.

`settle.py` settles one `HeadReading` for a head, from its folder, the user's settings and the
target. It is a part of `HeadConfig`, so it is what the head computes by; the loader's report,
`inspect`, the pre-flight and the provenance all show this one. To read a loaded head another way:

    loaded = load_head(settings, target.spec, target.embed)
    other = replace(loaded.reading, norm_output=True)
    twin = loaded.head.variant(other)  # shares the weights
    target.set_aux_layers(twin.config.features_of(target.spec.num_layers))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple


@dataclass(frozen=True)
class RopeConfig:
    """Rotary embedding of a head, its own and never the target's.

    `scaling` holds `rope_type` and what that type needs (`factor`, ...), or is None; `partial`
    is the share of each head's dimensions, from the first on, that is rotated.
    """

    theta: float = 10000.0
    scaling: dict[str, Any] | None = None
    partial: float = 1.0


class Choice(NamedTuple):
    """One choice, where it comes from, and sentences that a person must read.

    `others` are the values that it may have as well for all that folder and settings say.
    """

    value: Any
    why: str
    doubts: tuple[str, ...] = ()
    others: tuple[Any, ...] = ()


@dataclass(frozen=True)
class HeadReading:
    """The choices by which the same tensors become another head.

    Attributes
    ----------
    aux_layers : tuple of int or None
        The boundaries of `TargetSpec.aux_layers` that are read; None for `[2, L // 2, L - 3]`.
    own_embeddings : bool
        Token embeddings come from the head and not from the target. False suits any head as
        wide as its target; True only a head that holds some.
    mapped : bool
        Draft ids go through the head's vocabulary map.
    norm_before_residual : bool
        The residual is the normed feature.
    norm_output : bool
        The state fed back to the next draft step is the normed one (EAGLE 3.1).
    window : int or None
        A token sees itself and those before it, `window` in all; None: the whole context.
    reasons : mapping of str to str
        By the names above, where the choice comes from.
    doubts : tuple of str
        Sentences that a person must read.
    others : mapping of str to tuple
        By the names above, the values that folder and settings allow as well.
    """

    aux_layers: tuple[int, ...] | None = None
    own_embeddings: bool = False
    mapped: bool = True
    norm_before_residual: bool = False
    norm_output: bool = False
    window: int | None = None
    rope: RopeConfig = field(default_factory=RopeConfig)
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)
    doubts: tuple[str, ...] = field(default=(), compare=False)
    others: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, **choices: Choice) -> HeadReading:
        """The reading that these choices make."""
        return cls(
            **{name: choice.value for name, choice in choices.items()},
            reasons={name: choice.why for name, choice in choices.items()},
            doubts=tuple(doubt for choice in choices.values() for doubt in choice.doubts),
            others={name: choice.others for name, choice in choices.items()},
        )

    def plain(self) -> dict[str, dict[str, Any]]:
        """By choice, its `value` and `why` (null where nobody said), as plain JSON types."""
        values = {name: value for name, value in asdict(self).items() if name in CHOICES}
        values["aux_layers"] = None if self.aux_layers is None else list(self.aux_layers)
        return {
            name: {"value": value, "why": self.reasons.get(name)} for name, value in values.items()
        }

    def sha256(self) -> str:
        """Of all choices, whatever their reasons."""
        values = {name: choice["value"] for name, choice in self.plain().items()}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


CHOICES = tuple(each.name for each in fields(HeadReading) if each.compare)
