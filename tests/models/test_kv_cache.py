"""`KVCache` against lists of what each row should hold."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import Tensor

from eagle_bench.models.cache import KVCache
from eagle_bench.models.mask import attention_mask

CAPACITY, HEADS, DIM = 24, 2, 3
LAYERS = 2


class CacheMachine(RuleBasedStateMachine):
    """Every entry is a number of its own; each row is a list of numbers, committed and pending."""

    @initialize(batch=st.integers(1, 4), alike=st.sampled_from((1, LAYERS)))
    def begin(self, batch: int, alike: int) -> None:
        self.cache = KVCache(batch, CAPACITY, alike)
        self.full = batch
        self.committed: list[list[int]] = [[] for _ in range(batch)]
        self.pending: list[list[int]] = [[] for _ in range(batch)]
        self.serial = 1
        self.seen: tuple[Tensor, Tensor] | None = None

    def entries(self, rows: int, q: int) -> tuple[list[list[int]], Tensor]:
        numbers = [[self.serial + row * q + i for i in range(q)] for row in range(rows)]
        self.serial += rows * q
        wide = torch.tensor(numbers, dtype=torch.float32)[:, None, :, None]
        return numbers, wide.expand(rows, HEADS, q, DIM)

    def append(self, cache: KVCache, k: Tensor) -> None:
        for layer in range(LAYERS):
            seen = cache.update(k + layer * 0.25, -k, layer)
        cache.advance(k.shape[2])
        self.seen = seen

    @property
    def longest(self) -> int:
        return max(len(row) for row in self.committed) + len(self.pending[0])

    @precondition(lambda self: self.committed)
    @rule(q=st.integers(1, 5))
    def update(self, q: int) -> None:
        if self.longest + q > CAPACITY:
            return
        numbers, k = self.entries(len(self.committed), q)
        self.append(self.cache, k)
        for row, new in zip(self.pending, numbers, strict=True):
            row += new
        keys, values = self.seen
        for row in range(len(self.committed)):
            whole = torch.tensor(self.committed[row] + self.pending[row], dtype=torch.float32)
            shown = keys[row, 0, : len(whole), 0] - 0.25 * (LAYERS - 1)
            assert torch.equal(shown, whole)
            assert torch.equal(-values[row, 1, : len(whole), 2], whole)
        assert keys.shape[2] == self.longest

    @precondition(lambda self: self.committed)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        count = len(self.pending[0])
        subset = st.lists(st.sampled_from(range(count)), unique=True).map(sorted)
        paths = [data.draw(subset if count else st.just([])) for _ in self.committed]
        self.cache.commit(paths)
        for row, path in enumerate(paths):
            self.committed[row] += [self.pending[row][i] for i in path]
            self.pending[row] = []

    @rule()
    def commit_all(self) -> None:
        self.cache.commit_all()
        self.committed = [a + b for a, b in zip(self.committed, self.pending, strict=True)]
        self.pending = [[] for _ in self.pending]

    @rule()
    def rollback(self) -> None:
        self.cache.rollback()
        self.pending = [[] for _ in self.pending]

    @precondition(lambda self: self.committed and not self.pending[0])
    @rule(data=st.data(), q=st.integers(1, 6))
    def prefill_and_adopt(self, data: st.DataObject, q: int) -> None:
        index = data.draw(st.integers(0, len(self.committed) - 1))
        window = self.cache.row(index)
        [numbers], k = self.entries(1, q)
        self.append(window, k)
        window.commit_all()
        self.cache.adopt(index, window)
        self.committed[index] = numbers

    @precondition(lambda self: self.committed and not self.pending[0])
    @rule(data=st.data())
    def move_row(self, data: st.DataObject) -> None:
        rows = st.integers(0, len(self.committed) - 1)
        source, target = data.draw(rows), data.draw(rows)
        self.cache.move_row(source, target)
        self.committed[target] = list(self.committed[source])

    @precondition(lambda self: not self.pending or not self.pending[0])
    @rule(data=st.data())
    def resize(self, data: st.DataObject) -> None:
        batch = data.draw(st.integers(1, self.full))
        self.cache.resize(batch)
        self.committed = (self.committed + [[] for _ in range(batch)])[:batch]
        self.pending = [[] for _ in range(batch)]

    @invariant()
    def lengths_agree(self) -> None:
        assert self.cache.lengths == [len(row) for row in self.committed]
        assert self.cache.batch == len(self.committed)
        assert self.cache.get_seq_length() == self.longest
        assert self.cache.get_mask_sizes(3) == (self.longest + 3, 0)


CacheMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, derandomize=True
)
TestCacheMachine = CacheMachine.TestCase


def test_bytes_are_those_of_all_layers() -> None:
    cache = KVCache(3, CAPACITY)
    assert cache.nbytes == 0
    for layer in range(LAYERS):
        cache.update(torch.zeros(3, HEADS, 1, DIM), torch.zeros(3, HEADS, 1, DIM + 2), layer)
    assert cache.nbytes == LAYERS * 3 * HEADS * CAPACITY * (DIM + DIM + 2) * 4


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_attention_mask(data: st.DataObject) -> None:
    batch, q = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    new = q + data.draw(st.integers(0, 4))
    lengths = data.draw(st.lists(st.integers(0, 7), min_size=batch, max_size=batch))
    bits = data.draw(st.lists(st.booleans(), min_size=batch * q * new, max_size=batch * q * new))
    visible = torch.tensor(bits).reshape(batch, q, new)
    mask = attention_mask(lengths, visible)
    assert mask.shape == (batch, 1, q, max(lengths) + new)
    for row in range(batch):
        for query in range(q):
            for key in range(mask.shape[-1]):
                behind = key - lengths[row]
                expected = behind < 0 or (behind < new and bool(visible[row, query, behind]))
                assert bool(mask[row, 0, query, key]) == expected
