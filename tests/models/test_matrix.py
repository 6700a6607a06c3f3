"""Packed weights give the products of plain ones, and are taken where they are faster."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType, Packing
from eagle_bench.models import lean_target, matrix
from eagle_bench.models.load import load_target
from eagle_bench.models.matrix import FEW_ROWS, VERIFY_ROWS, Matrix, rows_that_pay
from eagle_bench.models.read import read

needs_onednn = pytest.mark.skipif(not torch._C._has_mkldnn, reason="torch without oneDNN")
CPU = torch.device("cpu")


def drawn(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(dtype)


@needs_onednn
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("biased", [False, True])
@torch.inference_mode()
def test_packed_from_some_rows_on(dtype: torch.dtype, biased: bool) -> None:
    weight, bias = drawn(dtype, 48, 32), drawn(dtype, 48) if biased else None
    packed = Matrix(weight, bias)
    packed.pack(FEW_ROWS)
    for batch, rows in ((1, 1), (1, 3), (2, 2), (1, 5), (3, 40)):
        x = drawn(dtype, batch, rows, 32)
        plain = F.linear(x, weight, bias)
        torch.testing.assert_close(packed(x), plain, atol=1e-5, rtol=1e-2)
        if batch * rows < FEW_ROWS:
            assert torch.equal(packed(x), plain)


@needs_onednn
@pytest.mark.parametrize(
    ("one", "few", "from_rows"), [(0.7, 0.7, 1), (1.2, 0.7, FEW_ROWS), (1.2, 0.95, None)]
)
def test_packed_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, one: float, few: float, from_rows: int | None
) -> None:
    monkeypatch.setattr(matrix, "_ratio", lambda *_, rows: {1: one, VERIFY_ROWS: few}[rows])
    threads = torch.get_num_threads()
    assert rows_that_pay([Matrix(drawn(torch.float32, 8, 8))] * 3) == from_rows
    assert torch.get_num_threads() == threads


def test_nothing_is_packed_without_room_or_a_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "_ratio", lambda *_, rows: 0.5)
    assert rows_that_pay([Matrix(drawn(torch.float16, 8, 8))]) is None
    memory = matrix.psutil.virtual_memory()._replace(available=100)
    monkeypatch.setattr(matrix.psutil, "virtual_memory", lambda: memory)
    assert rows_that_pay([Matrix(drawn(torch.float32, 8, 8))]) is None


@needs_onednn
@pytest.mark.parametrize(("packing", "from_rows"), [(Packing.auto, FEW_ROWS), (Packing.off, None)])
def test_a_target_says_what_it_packed(
    monkeypatch: pytest.MonkeyPatch, packing: Packing, from_rows: int | None
) -> None:
    monkeypatch.setattr(lean_target, "rows_that_pay", lambda _: FEW_ROWS)
    config = ModelConfig(name="embedded")
    plain = load_target(replace(config, packing=Packing.off), DType.float32, CPU)
    target = load_target(replace(config, packing=packing), DType.float32, CPU)
    assert target.spec == replace(plain.spec, packed_from_rows=from_rows)
    tokens = torch.arange(20)[None] + 100
    torch.testing.assert_close(
        read(target, tokens).logits, read(plain, tokens).logits, atol=1e-3, rtol=1e-3
    )
