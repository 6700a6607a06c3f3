"""Which cached and new entries each new token may see."""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.machine.upload import upload


def within_window(mask: Tensor, window: int) -> Tensor:
    """Of the keys that each query sees (bool `[..., q, kv]`), only the latest `window`.

    Along a branch of a tree the visible keys are consecutive positions, so counting them is
    measuring the distance.
    """
    rank_from_last: Tensor = mask.long().flip(-1).cumsum(-1).flip(-1)
    return mask & (rank_from_last <= window)


def attention_mask(lengths: list[int], visible: Tensor) -> Tensor:
    """All committed entries of a row, and of the new ones those in `visible`.

    Parameters
    ----------
    lengths : list[int]
        Committed entries of each row.
    visible : Tensor
        bool `[batch, q, new]` over the entries behind the committed ones, of which the last
        `q` belong to the queries.

    Returns
    -------
    Tensor
        bool `[batch, 1, q, max(lengths) + new]`.
    """
    batch, q, new = visible.shape
    longest = max(lengths)
    if min(lengths) == longest:
        past = visible.new_ones(batch, q, longest)
        return torch.cat((past, visible), dim=-1)[:, None]
    starts = upload(lengths, visible.device)[:, None]
    offset = torch.arange(longest + new, device=visible.device)[None] - starts
    inside = (offset >= 0) & (offset < new)
    index = offset.clamp(0, new - 1)[:, None].expand(batch, q, longest + new)
    return ((offset < 0)[:, None] | (inside[:, None] & visible.gather(2, index)))[:, None]
