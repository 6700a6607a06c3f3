"""Logits that are no numbers: their argmax is the same in every arm, so they look lossless."""

from __future__ import annotations

from bisect import bisect_left

from torch import Tensor

from eagle_bench.config.values import dtype_name
from eagle_bench.errors import UserError
from eagle_bench.models.read import read
from eagle_bench.models.target import Target


def check_finite(logits: Tensor, target: Target, tokens: list[int], arm: str, key: str) -> None:
    """Refuse what `target` said behind the prompt `tokens` unless all of it is finite.

    Costs one device synchronisation. The place is sought by prefixes, as a value that is no
    number spoils what stands before it too, through masked attention.

    Raises
    ------
    UserError
        Names the arm, the precision, the prompt `key` and its first token that gives such logits.
    """

    def broken_behind(count: int) -> bool:
        return not read(target, tokens[:count]).logits[0, -1].isfinite().all()

    if logits.isfinite().all():
        return
    first = 1 + bisect_left(range(1, len(tokens)), True, key=broken_behind)
    dtype = dtype_name(target.spec.dtype)
    raise UserError(
        f"The target's logits are not finite in the arm {arm} (dtype={dtype}), first behind token "
        f"{first} of {len(tokens)} of the prompt {key}; use dtype=bfloat16 or float32, or mend "
        "the weights."
    )
