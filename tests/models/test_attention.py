"""Grouped attention against each head by itself."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from eagle_bench.models.attention import attend, attention_bias


def heads_apart(q, k, v, mask):
    """One attention for each query head, `[batch, q, heads, dim]`."""
    groups = q.shape[1] // k.shape[1]
    return torch.stack(
        [
            scaled_dot_product_attention(
                q[:, head], k[:, head // groups], v[:, head // groups], attn_mask=mask
            )
            for head in range(q.shape[1])
        ],
        dim=2,
    )


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 2), (4, 1)])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("masked", [True, False])
def test_equals_heads_apart(heads: int, kv_heads: int, rows: int, masked: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    q = torch.randn(2, rows, heads, 8, generator=draw).transpose(1, 2)
    cache = torch.randn(2, 2, kv_heads, 20, 8, generator=draw)[:, :, :, :11]
    mask = torch.rand(2, 1, rows, 11, generator=draw) < 0.5
    mask[..., -1] = True
    bias = attention_bias(mask, heads // kv_heads, torch.float32) if masked else None
    expected = heads_apart(q, *cache, mask[:, 0] if masked else None)
    torch.testing.assert_close(attend(q, *cache, bias), expected.flatten(2))


def test_a_prompt_sees_what_came_before() -> None:
    q, k, v = torch.randn(3, 1, 2, 7, 8)
    mask = torch.ones(7, 7, dtype=torch.bool).tril()
    torch.testing.assert_close(
        attend(q, k, v, None, causal=True), heads_apart(q, k, v, mask).flatten(2)
    )
    q = torch.cat((q, q), dim=1)
    torch.testing.assert_close(
        attend(q, k, v, None, causal=True), heads_apart(q, k, v, mask).flatten(2)
    )


def test_a_masks_rows_are_padded_in_memory() -> None:
    bias = attention_bias(torch.ones(1, 1, 2, 11, dtype=torch.bool), 3, torch.bfloat16)
    assert bias.shape == (1, 1, 6, 11)
    assert bias.stride() == (96, 96, 16, 1)
    assert bias.dtype is torch.bfloat16


def test_no_plan_is_built_for_each_length_of_the_cache() -> None:
    assert not torch.backends.cuda.cudnn_sdp_enabled()
