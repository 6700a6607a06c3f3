"""Slices with the strides of a tensor of their own."""

from __future__ import annotations

from torch import Tensor


def with_own_strides(x: Tensor) -> Tensor:
    """`x` `[batch, n, width]`, copied only where its rows lie apart.

    Of a slice such as `x[:, -1:]` of one row, which torch calls contiguous, oneDNN copies the
    weights of the product that follows, at every call (bfloat16 on a CPU).
    """
    return x.contiguous().view(-1, x.shape[-1]).view(x.shape)
