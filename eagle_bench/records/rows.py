"""The rows a run leaves on disk; every figure is derived from them (`docs/how-we-measure.md`)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Self

from eagle_bench.records.counts import Told
from eagle_bench.records.generation import BASELINE, Generation, turn_key


@dataclass(frozen=True)
class Trial:
    """What a generation is one of: a prompt (and turn) x arm x repeat, and how it ran there."""

    prompt_id: str
    category: str
    turn: int
    arm: str
    repeat: int
    batch_size: int = 1
    order: int = 0
    take: int = 0


@dataclass
class GenerationRow:
    """One prompt (and turn) x arm x repeat. Times in seconds, counts in tokens or calls.

    `order` is 0 for the arm that ran first on the prompt, 1 for the other; `started_s` is on
    the process's own clock. From `cpu_s` to `gpu_processes` stands the `Evidence` of others' work,
    of the whole batch where several ran at once; None where the machine does not tell.

    `stalled_s`, `disturbed` and `culprit` are `figures.stalls`' judgement of the rounds when the
    job ended. A pair that was measured again has several takes, numbered from 0; which one counts
    is `figures.takes`' choice.

    An engine's row has None for what the engine does not tell. `accepted_at` are the rounds in
    which the draft in each position was accepted, where an engine tells these and no rounds.

    `prompt_sha256` is that of the prompt's token ids, in short (16 digits).
    """

    prompt_id: str
    category: str
    turn: int
    arm: str
    repeat: int
    gen_len: int
    new_tokens: int
    stop_reason: str
    prompt_tokens: int
    token_ids: list[int]
    wall_s: float
    prefill_s: float
    decode_s: float
    target_calls: int | None
    draft_calls: int | None
    rounds: int | None
    accept_lengths: list[int] | None
    overshoot: int
    drafted: int | None
    drafted_depth: int | None
    accepted: int | None
    peak_bytes: int | None
    energy_j: float | None = None
    batch_size: int = 1
    order: int = 0
    started_s: float = 0.0
    cpu_s: float | None = None
    involuntary_switches: int | None = None
    waited_s: float | None = None
    others_cores: float | None = None
    steal_s: float | None = None
    throttled_s: float | None = None
    pressure_s: float | None = None
    gpu_sm_mhz: int | None = None
    gpu_power_state: int | None = None
    gpu_throttle_mask: int | None = None
    gpu_processes: int | None = None
    stalled_s: float | None = None
    disturbed: bool = False
    culprit: str | None = None
    take: int = 0
    accepted_at: list[int] | None = None
    prompt_sha256: str | None = None

    @property
    def lost_s(self) -> float:
        """Seconds lost to others' work; an arm's own stalls are no loss."""
        return (self.stalled_s or 0.0) if self.disturbed else 0.0

    @classmethod
    def of(
        cls, generation: Generation, trial: Trial, peak_bytes: int | None, **readings: Any
    ) -> Self:
        """The row of a finished generation; `readings` are its energy and `Evidence`, by name.

        The baseline's rounds are its steps, and count as none.
        """
        rounds = [] if trial.arm == BASELINE else generation.rounds
        row = cls(
            **vars(trial),
            gen_len=generation.request.gen_len,
            new_tokens=len(generation.tokens),
            stop_reason=generation.stop_reason,
            prompt_tokens=len(generation.request.tokens),
            prompt_sha256=_short_sha256(generation.request.tokens),
            token_ids=generation.tokens,
            wall_s=generation.wall_s,
            prefill_s=generation.prefill_s,
            decode_s=generation.wall_s - generation.prefill_s,
            target_calls=generation.target_calls,
            draft_calls=generation.draft_calls,
            rounds=len(rounds),
            accept_lengths=[each.accepted for each in rounds],
            overshoot=generation.overshoot,
            drafted=sum(each.nodes for each in rounds),
            drafted_depth=sum(each.depth for each in rounds),
            accepted=sum(each.accepted for each in rounds),
            started_s=generation.started_s,
            peak_bytes=peak_bytes,
            **readings,
        )
        return row if generation.told is None else row._told(generation.told)

    def _told(self, told: Told) -> Self:
        """The row with what a server told, whose drafts were chains."""
        lengths, positions = told.accept_lengths, told.per_position
        return replace(
            self,
            new_tokens=told.new_tokens,
            target_calls=told.target_calls,
            draft_calls=None,
            rounds=told.rounds,
            accept_lengths=[] if told.rounds == 0 else _listed(lengths),
            accepted_at=_listed(positions),
            overshoot=told.overshoot,
            drafted=told.drafted,
            drafted_depth=told.drafted,
            accepted=told.accepted,
        )

    @property
    def told(self) -> tuple[int, int, int, int]:
        """Target calls, rounds, drafted and accepted, where all of them are told."""
        counts = self.target_calls, self.rounds, self.drafted, self.accepted
        assert None not in counts
        return counts  # type: ignore[return-value]

    @property
    def key(self) -> str:
        """The key of the request that it answers."""
        return turn_key(self.prompt_id, self.turn)


def _short_sha256(tokens: list[int]) -> str:
    return hashlib.sha256(str(tokens).encode()).hexdigest()[:16]


def _listed(numbers: tuple[int, ...] | None) -> list[int] | None:
    return None if numbers is None else list(numbers)


@dataclass
class RoundRow:
    """One draft-verify round; the baseline's drafts nothing. Phase seconds are filled by the
    instrumented run only.

    `seconds` are those of `Generation.round_seconds`, on the host's clock; None in rows that
    were written before rounds carried them.
    """

    prompt_id: str
    turn: int
    arm: str
    repeat: int
    round: int
    position: int
    context_len: int
    depth: int
    nodes: int
    accepted: int
    phases_s: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    take: int = 0


def round_rows(generation: Generation, trial: Trial) -> list[RoundRow]:
    """Every round of a generation, under the generation's name."""
    return [
        RoundRow(
            prompt_id=trial.prompt_id,
            turn=trial.turn,
            arm=trial.arm,
            repeat=trial.repeat,
            round=index,
            position=each.position,
            context_len=each.context_len,
            depth=each.depth,
            nodes=each.nodes,
            accepted=each.accepted,
            phases_s=each.phases_s,
            seconds=seconds,
            take=trial.take,
        )
        for index, (each, seconds) in enumerate(
            zip(generation.rounds, generation.round_seconds, strict=True)
        )
    ]
