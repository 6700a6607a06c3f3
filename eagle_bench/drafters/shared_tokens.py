"""Whether a draft model means by its token ids what the target means by them."""

from __future__ import annotations

from eagle_bench.errors import UserError
from eagle_bench.models.target import Target


def check_tokens(draft: Target, target: Target) -> tuple[str, ...]:
    """Refuse a draft model of another tokenizer; what to say of one that knows fewer tokens.

    A token more, another name for a reserved one or rows that only pad make no other tokenizer:
    the ids of the tokens that both have are what drafts are made of.

    Raises
    ------
    UserError
        A token that both have has two ids, or most of one vocabulary is not in the other.
    """
    ours, theirs = target.tokenizer.get_vocab(), draft.tokenizer.get_vocab()
    shared = ours.keys() & theirs.keys()
    apart = min((each for each in shared if ours[each] != theirs[each]), default=None, key=ours.get)
    found = f"shares {len(shared)} tokens with it"
    if apart is not None:
        found = f"has {apart!r} as {theirs[apart]}, not {ours[apart]}"
    if apart is not None or 2 * len(shared) < min(len(ours), len(theirs)):
        raise UserError(
            f"The draft model {draft.spec.name} has another tokenizer than the target "
            f"{target.spec.name}: it {found}; set drafter.path to a model that shares it."
        )
    rows = draft.spec.vocab_size
    unread = sum(rows <= index < target.spec.vocab_size for index in ours.values())
    if not unread:
        return ()
    return (
        f"{unread} of the target's tokens have no row in the draft model; it reads its last one "
        "in their place.",
    )
