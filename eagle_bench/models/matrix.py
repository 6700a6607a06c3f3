"""Weights that stay, multiplied by few rows at a time, where it pays in oneDNN's packed layout.

A step of decoding multiplies every weight by one row, a verification by a few. On a CPU the
plain layout costs a verification of five rows much more than a step; oneDNN's blocked layout,
the one that Inductor takes for frozen weights, costs it hardly more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil
import torch
from torch import Tensor
from torch.nn import functional as F

EXPECTED_ROWS = 8
"""The rows that the packed layout is chosen for."""

FEW_ROWS, VERIFY_ROWS = 4, 5
"""A packed copy that is no faster for one row is used from here on, if a verification gains."""

SAMPLE_BYTES, TRIALS = 2**26, 9


class Matrix:
    """`x @ weight.T + bias`, over the last dimension of x `[..., width]`.

    Parameters
    ----------
    weight : Tensor
        `[rows, width]`.
    bias : Tensor or None
        `[rows]`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight, self.bias = weight, bias
        self._packed: Tensor | None = None
        self._from_rows = 0

    def pack(self, from_rows: int) -> None:
        """Keep a packed copy for calls of `from_rows` rows and more."""
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, EXPECTED_ROWS)
        self._from_rows = from_rows

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed is None or x.shape[:-1].numel() < self._from_rows:
            return F.linear(x, self.weight, self.bias)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._packed, self.bias, "none", [], ""
        )
        return product


@torch.inference_mode()
def rows_that_pay(matrices: Sequence[Matrix]) -> int | None:
    """From how many rows on packed copies of `matrices` are faster on this machine.

    1 where they are so for a single row too, `FEW_ROWS` where from there on, None where not, or
    where there is no such layout or no memory to hold the copies. Measured on the first
    `SAMPLE_BYTES` of them, plain and packed in turns, in processor time of one thread, which a
    busy machine leaves as it is.
    """
    weights = [matrix.weight for matrix in matrices]
    first = weights[0]
    if not (first.is_cpu and first.dtype in (torch.float32, torch.bfloat16)):
        return None
    weight_bytes = sum(weight.nbytes for weight in weights)
    roomy = psutil.virtual_memory().available > 2 * weight_bytes
    if not (roomy and torch._C._has_mkldnn):
        return None
    plain, packed, size = list[Matrix](), list[Matrix](), 0
    for matrix in matrices:
        if size > SAMPLE_BYTES:
            break
        size += matrix.weight.nbytes
        plain.append(matrix)
        packed.append(Matrix(matrix.weight, matrix.bias))
        packed[-1].pack(1)
    with _one_thread():
        if _ratio(packed, plain, rows=1) < 0.95:
            return 1
        return FEW_ROWS if _ratio(packed, plain, rows=VERIFY_ROWS) < 0.9 else None


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _ratio(packed: Sequence[Matrix], plain: Sequence[Matrix], rows: int) -> float:
    """The least time of all `packed` products over that of the `plain` ones."""
    inputs = [
        torch.ones(1, rows, matrix.weight.shape[1], dtype=matrix.weight.dtype) for matrix in plain
    ]

    def all_of(matrices: Sequence[Matrix]) -> Callable[[], float]:
        def timed() -> float:
            start_s = time.thread_time()
            for matrix, x in zip(matrices, inputs, strict=True):
                matrix(x)
            return time.thread_time() - start_s

        return timed

    times = [(all_of(packed)(), all_of(plain)()) for _ in range(TRIALS)]
    return min(fast for fast, _ in times) / min(slow for _, slow in times)
