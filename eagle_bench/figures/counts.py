"""What an engine of another stopping rule would have counted in our rounds."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_bench.records.counts import Counts


def counted(accept_lengths: Sequence[int], draft_len: int) -> Counts:
    """As our chain and vLLM count: every round drafts `draft_len`, what is too much is cut."""
    return Counts(
        rounds=len(accept_lengths),
        drafted=draft_len * len(accept_lengths),
        accepted=sum(accept_lengths),
        plain=0,
        per_position=_per_position(accept_lengths, draft_len),
    )


def clipped(
    accept_lengths: Sequence[int], draft_len: int, gen_len: int, behind_eos: int = 0
) -> Counts:
    """As llama.cpp counts the same rounds.

    It drafts at most one token less than are left to generate, so that the last round is
    shorter, and a single last token is a plain call. An accepted end token and drafts behind it
    are not counted as accepted, though as drafted; where the end token is the round's last draft,
    it is.

    Parameters
    ----------
    accept_lengths : sequence of int
        Accepted drafts of each round of our chain.
    draft_len, gen_len : int
        Drafts in a round, and tokens asked for.
    behind_eos : int
        Tokens that our last round emitted behind the end token (`overshoot`); 0 where the
        generation ended by its length.
    """
    left, drafted, plain = gen_len - 1, 0, 0
    kept = []
    for index, accepted in enumerate(accept_lengths, 1):
        if left <= 0:
            break
        reach = min(draft_len, left - 1)
        ends_on_last_draft = behind_eos and accepted + 1 - behind_eos == reach
        if index == len(accept_lengths) and not ends_on_last_draft:
            accepted -= behind_eos
        accepted = min(accepted, reach)
        left -= accepted + 1
        if reach == 0:
            plain += 1
            continue
        kept.append(accepted)
        drafted += reach
    return Counts(len(kept), drafted, sum(kept), plain, _per_position(kept, draft_len))


def _per_position(accept_lengths: Sequence[int], draft_len: int) -> tuple[int, ...]:
    return tuple(
        sum(accepted > position for accepted in accept_lengths) for position in range(draft_len)
    )
