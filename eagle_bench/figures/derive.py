"""Rows for a shorter `gen_len`, cut from the rows of one long run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eagle_bench.records.rows import GenerationRow, RoundRow

Key = tuple[str, int, str, int]


def shorten(
    rows: Sequence[GenerationRow], gen_len: int, rounds: Sequence[RoundRow] = ()
) -> list[GenerationRow]:
    """Derive what a run with a smaller `gen_len` would have recorded.

    Tokens, rounds, accept lengths, overshoot and target calls are those of the shorter run,
    provided that the method drafts the same whatever room is left. Decode seconds are cut by
    rounds (by tokens for the baseline), weighted by the phases of `rounds` where these were
    recorded; drafted tokens are exact with `rounds` and pro rata without. Peak memory stays
    the long run's.

    Parameters
    ----------
    rows : sequence of GenerationRow
    gen_len : int
        Requested new tokens of the shorter run.
    rounds : sequence of RoundRow
        Rounds of the same generations, or none.

    Returns
    -------
    list[GenerationRow]
        First turns only: later turns of a shorter run would have had another context.
    """
    by_generation: dict[Key, list[RoundRow]] = {}
    for round_row in rounds:
        key = (round_row.prompt_id, round_row.turn, round_row.arm, round_row.repeat)
        by_generation.setdefault(key, []).append(round_row)
    return [
        _shorten(row, gen_len, by_generation.get((row.prompt_id, 0, row.arm, row.repeat), []))
        for row in rows
        if row.turn == 0
    ]


def _shorten(row: GenerationRow, gen_len: int, rounds: list[RoundRow]) -> GenerationRow:
    if row.new_tokens <= gen_len:
        return replace(row, gen_len=gen_len)
    target_calls, rounds_told, drafted, accepted = row.told
    if not rounds_told:
        share = (gen_len - 1) / (row.new_tokens - 1)
        return _cut(row, gen_len, share, target_calls=target_calls - row.new_tokens + gen_len)
    opening = row.new_tokens + row.overshoot - accepted - rounds_told
    emitted = opening
    assert row.accept_lengths is not None
    kept = 0
    while emitted < gen_len:
        emitted += row.accept_lengths[kept] + 1
        kept += 1
    accept_lengths = row.accept_lengths[:kept]
    recorded = sorted(rounds, key=lambda round_row: round_row.round)
    weights = [sum(round_row.phases_s.values()) for round_row in recorded]
    known = len(recorded) == rounds_told
    share = sum(weights[:kept]) / sum(weights) if known and sum(weights) > 0 else kept / rounds_told
    linear = kept / rounds_told
    cut_calls = (target_calls - opening) // rounds_told * (rounds_told - kept)
    head = recorded[:kept]
    return replace(
        _cut(row, gen_len, share, target_calls=target_calls - cut_calls),
        rounds=kept,
        accept_lengths=accept_lengths,
        accepted=sum(accept_lengths),
        overshoot=emitted - gen_len,
        draft_calls=round((row.draft_calls or 0) * linear),
        drafted=sum(r.nodes for r in head) if known else round(drafted * linear),
        drafted_depth=sum(r.depth for r in head)
        if known
        else round((row.drafted_depth or 0) * linear),
    )


def _cut(
    row: GenerationRow, gen_len: int, decode_share: float, *, target_calls: int
) -> GenerationRow:
    decode_s = row.decode_s * decode_share
    wall_s = row.prefill_s + decode_s
    return replace(
        row,
        gen_len=gen_len,
        new_tokens=gen_len,
        stop_reason="length",
        token_ids=row.token_ids[:gen_len],
        decode_s=decode_s,
        wall_s=wall_s,
        target_calls=target_calls,
        energy_j=None if row.energy_j is None else row.energy_j * wall_s / row.wall_s,
        stalled_s=None if row.stalled_s is None else row.stalled_s * wall_s / row.wall_s,
    )
