"""What verification counted in one generation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """Counts of one generation.

    Attributes
    ----------
    rounds, plain : int
        Target calls after the prefill that verified drafts, and that had none to verify.
    drafted, accepted : int
        Draft tokens.
    per_position : tuple of int
        Rounds in which the draft in that position was accepted.
    """

    rounds: int
    drafted: int
    accepted: int
    plain: int
    per_position: tuple[int, ...]

    @property
    def tau(self) -> float | None:
        """Tokens per verification round; None without one."""
        return 1 + self.accepted / self.rounds if self.rounds else None

    @property
    def target_calls(self) -> int:
        """Calls of the target, its prefill taken as one."""
        return 1 + self.rounds + self.plain

    def emitted(self) -> int:
        """Tokens before any is cut: prefill's, one of each call, and what was accepted."""
        return self.target_calls + self.accepted


@dataclass(frozen=True)
class Told:
    """What a server told of one generation; None is what it does not tell.

    Attributes
    ----------
    new_tokens : int
        As the server counts them.
    overshoot : int
        Tokens of the last round that were cut off.
    accept_lengths : tuple of int or None
        Accepted drafts of each round, in order.
    per_position : tuple of int or None
        As of `Counts`.
    """

    new_tokens: int
    target_calls: int | None = None
    rounds: int | None = None
    drafted: int | None = None
    accepted: int | None = None
    overshoot: int = 0
    accept_lengths: tuple[int, ...] | None = None
    per_position: tuple[int, ...] | None = None
