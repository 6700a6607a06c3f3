"""Keys and values kept between forward passes: preallocated, ragged, with rollback.

A forward pass appends entries behind each row's committed length. They stay *pending* until
`commit` says which of them were accepted; everything else is forgotten by not being counted.
Targets, EAGLE heads and draft models all use this one class; transformers models can too,
because `update` has the signature that their attention layers call.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eagle_bench.machine.upload import upload


class _Storage:
    """Keys and values of the layers, allocated at the first use of one.

    Attributes
    ----------
    blocks : list[Tensor]
        `[tensors, batch, kv_heads, capacity, head_dim]`: what is moved, is moved block by block.
        One holds keys and values of `alike` layers, or one tensor where they differ.
    layers : dict[int, tuple[Tensor, Tensor]]
        Keys and values by layer, views of the blocks.
    """

    def __init__(self, batch: int, capacity: int, alike: int) -> None:
        self.batch = batch
        self.capacity = capacity
        self.alike = alike
        self.blocks: list[Tensor] = []
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def layer(self, index: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[batch, kv_heads, capacity, head_dim]` of a layer."""
        if index not in self.layers:
            if (k.shape, k.dtype) == (v.shape, v.dtype):
                block = self._allocate(k, 2 * self.alike)
                for place in range(self.alike):
                    self.layers[index + place] = (block[2 * place], block[2 * place + 1])
            else:
                self.layers[index] = (self._allocate(k, 1)[0], self._allocate(v, 1)[0])
        return self.layers[index]

    def _allocate(self, like: Tensor, tensors: int) -> Tensor:
        _, heads, _, width = like.shape
        self.blocks.append(like.new_zeros(tensors, self.batch, heads, self.capacity, width))
        return self.blocks[-1]


class KVCache:
    """A window of rows on a preallocated cache.

    Parameters
    ----------
    batch, capacity : int
        Rows, and entries (tokens) each row can hold.
    alike : int
        Layers, from 0 on, whose keys and values are of one shape, dtype and device; where that
        is not known, 1.

    Attributes
    ----------
    lengths : list[int]
        Committed entries of each row.
    pending : int
        Entries appended since the last commit, the same for every row.
    """

    def __init__(self, batch: int, capacity: int, alike: int = 1) -> None:
        self._storage = _Storage(batch, capacity, alike)
        self._first = 0
        self.lengths = [0] * batch
        self.pending = 0
        self._asked: tuple[Any, ...] = ()
        self._placed: tuple[Tensor, Tensor]

    @property
    def batch(self) -> int:
        return len(self.lengths)

    @property
    def capacity(self) -> int:
        return self._storage.capacity

    @property
    def nbytes(self) -> int:
        """Bytes held by all layers and rows."""
        return sum(block.nbytes for block in self._storage.blocks)

    def row(self, index: int) -> KVCache:
        """A window on one row, empty, sharing memory: prefill it, then `adopt` it."""
        window = KVCache.__new__(KVCache)
        window._storage = self._storage
        window._first = self._first + index
        window.lengths = [0]
        window.pending = 0
        window._asked = ()
        return window

    def adopt(self, index: int, window: KVCache) -> None:
        """Take over the length of a window that was filled through `row`."""
        self.lengths[index] = window.lengths[0]

    def update(
        self, k: Tensor, v: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Append `k`, `v` `[batch, kv_heads, q, head_dim]` and return all entries of the layer.

        The result spans `[batch, kv_heads, max(lengths) + pending + q, head_dim]`; rows that
        are shorter than the longest show stale entries at their end, which masks must hide.
        """
        keys, values = self._storage.layer(layer_idx, k, v)
        first, q = self._first, k.shape[2]
        if len(self.lengths) == 1:
            start = self.lengths[0] + self.pending
            end = start + q
            keys[first, :, start:end] = k[0]
            values[first, :, start:end] = v[0]
        else:
            rows, slots = self._places(q, k.device)
            keys[rows, :, slots] = k.transpose(1, 2)
            values[rows, :, slots] = v.transpose(1, 2)
            end = max(self.lengths) + self.pending + q
        rows_of = slice(first, first + len(self.lengths))
        return keys[rows_of, :, :end], values[rows_of, :, :end]

    def entries(self, layer_idx: int) -> tuple[Tensor, Tensor]:
        """Keys and values `[batch, kv_heads, capacity, head_dim]` of a layer that has some."""
        keys, values = self._storage.layers[layer_idx]
        rows = slice(self._first, self._first + len(self.lengths))
        return keys[rows], values[rows]

    def _places(self, q: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Rows `[batch, 1]` and slots `[batch, q]` of what comes next, once for all layers."""
        asked = (tuple(self.lengths), self.pending, q, device)
        if asked != self._asked:
            starts = upload(self.lengths, device) + self.pending
            slots = starts[:, None] + torch.arange(q, device=device)
            rows = torch.arange(self._first, self._first + len(self.lengths), device=device)
            self._asked, self._placed = asked, (rows[:, None], slots)
        return self._placed

    def advance(self, q: int) -> None:
        """Count the `q` entries that every layer has just appended as pending."""
        self.pending += q

    def commit(self, paths: list[list[int]]) -> None:
        """Keep the pending entries `paths[row]` (ascending indices), in order; drop the rest."""
        for row, path in enumerate(paths):
            start = self.lengths[row]
            if path and path[-1] != len(path) - 1:
                self._gather(self._first + row, start, path)
            self.lengths[row] = start + len(path)
        self.pending = 0

    def commit_all(self) -> None:
        """Keep every pending entry of every row."""
        self.lengths = [length + self.pending for length in self.lengths]
        self.pending = 0

    def rollback(self) -> None:
        """Drop every pending entry."""
        self.pending = 0

    @torch.inference_mode()
    def move_row(self, source: int, target: int) -> None:
        """Copy a row's entries over another row's."""
        for block in self._storage.blocks:
            block[:, self._first + target].copy_(block[:, self._first + source])
        self.lengths[target] = self.lengths[source]

    def resize(self, batch: int) -> None:
        """Show the first `batch` rows only, or again more of them (new ones are empty)."""
        self.lengths = (self.lengths + [0] * batch)[:batch]

    @torch.inference_mode()
    def _gather(self, row: int, start: int, path: list[int]) -> None:
        for block in self._storage.blocks:
            kept = block[:, row].index_select(2, upload(path, block.device) + start)
            block[:, row, :, start : start + len(path)] = kept

    # What transformers' mask and position code asks of a cache.

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return max(self.lengths) + self.pending

    def get_mask_sizes(self, query_length: Any, layer_idx: int = 0) -> tuple[int, int]:
        q = query_length if isinstance(query_length, int) else len(query_length)
        return self.get_seq_length() + q, 0

    @property
    def is_compileable(self) -> bool:
        return False


def attention_state(batch: int, capacity: int, alike: int = 1) -> KVCache:
    """The empty cache of a network that is attention all through; parameters as `KVCache`."""
    return KVCache(batch, capacity, alike)
