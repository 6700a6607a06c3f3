"""Seconds a generation kept the device busy: wall time at batch 1, its fair share in a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def shared_s(start_s: Floats, end_s: Floats) -> Floats:
    """Divide every moment equally among the intervals that cover it.

    Parameters
    ----------
    start_s, end_s : float[n]
        Seconds on one clock.

    Returns
    -------
    float[n]
        Seconds of each interval. They add up to the length of the intervals' union, so a sum
        over any rows is additive and a sum over all rows is the time the device was busy.
    """
    moments = np.unique(np.concatenate([start_s, end_s]))
    begun = np.searchsorted(np.sort(start_s), moments[:-1], side="right")
    ended = np.searchsorted(np.sort(end_s), moments[:-1], side="right")
    share_s = np.diff(moments) / np.maximum(begun - ended, 1)
    elapsed_s = np.concatenate([[0.0], np.cumsum(np.where(begun > ended, share_s, 0.0))])
    last = np.searchsorted(moments, end_s)
    first = np.searchsorted(moments, start_s)
    return np.asarray(elapsed_s[last] - elapsed_s[first], dtype=np.float64)
