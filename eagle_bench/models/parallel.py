"""One target over several processes (`torchrun`, `model.tensor_parallel=true`).

Every rank runs the same program on its share of the weights, so all must take the same
decisions: what depends on a clock follows rank 0's. Only rank 0 reports (`run.py`).
"""

from __future__ import annotations

import torch
from torch import distributed


def agreed(seconds: float) -> float:
    """Rank 0's measurement, on every rank; `seconds` itself in a single process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return seconds
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    shared = torch.tensor(seconds, dtype=torch.float64, device=device)
    distributed.broadcast(shared, src=0)
    return float(shared)
