"""`Norm` against its definition in float64, and against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from eagle_bench.models.norm import Norm


def pair(shape: tuple[int, ...], scale: float = 1.0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(len(shape))
    return scale * torch.randn(shape, generator=draw), torch.rand(shape[-1], generator=draw)


@pytest.mark.parametrize("shape", [(1, 1, 256), (2, 5, 576), (1, 3, 4, 64), (7,), (1, 0, 8)])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("eps", [1e-5, 1e-6, 0.01])
def test_the_definition(shape: tuple[int, ...], scale: float, eps: float) -> None:
    x, weight = pair(shape, scale)
    wide = x.double()
    expected = wide / (wide.square().mean(-1, keepdim=True) + eps).sqrt() * weight
    torch.testing.assert_close(Norm(weight, eps)(x), expected.float(), rtol=1e-6, atol=1e-9)


def test_a_slice_of_a_wider_tensor() -> None:
    x, weight = pair((2, 5, 9, 16))
    part = x[:, :, 2:6]
    torch.testing.assert_close(Norm(weight, 1e-6)(part), F.rms_norm(part, (16,), weight, 1e-6))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes_are_torchs_own(dtype: torch.dtype) -> None:
    x, weight = (tensor.to(dtype) for tensor in pair((1, 5, 64)))
    assert torch.equal(Norm(weight, 1e-6)(x), F.rms_norm(x, (64,), weight, 1e-6))
