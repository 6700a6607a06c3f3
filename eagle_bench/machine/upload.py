"""Numbers on their way to the device, which the host does not wait for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def upload(values: Any, device: torch.device) -> Tensor:
    """Nested lists of integers as an int64 tensor on `device`.

    `torch.tensor(values, device=...)` would first wait until a GPU has done all that it was
    given; this copy only joins its queue.
    """
    return torch.tensor(values, dtype=torch.int64).to(device, non_blocking=True)
