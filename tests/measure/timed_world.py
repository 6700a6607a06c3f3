"""A target and a drafter whose every second is known: they set the clock that is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.pick import Pick
from eagle_bench.models.cache import KVCache
from eagle_bench.models.target import Step, TargetSpec

CPU = torch.device("cpu")
VOCAB, WIDTH, EXPERTS, PASSED = 101, 8, 4, 2
STEP_S, PER_TOKEN_S = 0.004, 0.0002
FIRST_S, EXTEND_S, COMMIT_S, PREFILL_S = 0.001, 0.0005, 0.0003, 0.007


@dataclass
class Clock:
    """Stands still unless someone works."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


class Weights(nn.Module):
    """Embedding, one dense and one expert layer, output projection."""

    def __init__(self, *, tied: bool = False, experts: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, WIDTH)
        self.dense = nn.Linear(WIDTH, WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)
        if tied:
            self.head.weight = self.embedding.weight
        if experts:
            self.mlp = nn.Module()
            self.mlp.experts = nn.ModuleList(
                nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(experts)
            )
        routing = {"num_experts": experts, "num_experts_per_tok": PASSED} if experts else {}
        self.config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**routing))

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embedding

    def get_output_embeddings(self) -> nn.Linear:
        return self.head


@dataclass
class TimedTarget:
    """Says token + 1; a call takes `STEP_S` and `PER_TOKEN_S` for each token."""

    clock: Clock
    model: Weights = field(default_factory=Weights)
    tokenizer: Any = None

    def __post_init__(self) -> None:
        self.spec = TargetSpec(
            name="timed", architecture="Timed", implementation="timed", hidden_size=WIDTH,
            vocab_size=VOCAB, num_layers=1, max_positions=150, eos_ids=frozenset(), parameters=0,
            weight_bytes=0, dtype=torch.float32, device=CPU, aux_layers=(),
        )  # fmt: skip

    @property
    def lm_head(self) -> nn.Linear:
        return self.model.head

    def forward(
        self, tokens: Tensor, positions: Tensor, mask: Tensor | None, cache: KVCache, *,
        features: bool, last_only: bool = False,
    ) -> Step:  # fmt: skip
        self.clock.now_s += STEP_S + PER_TOKEN_S * tokens.shape[1]
        entries = torch.zeros(1, 1, tokens.shape[1], 2)
        cache.update(entries, entries, 0)
        cache.advance(tokens.shape[1])
        shown = tokens[:, -1:] if last_only else tokens
        return Step(torch.nn.functional.one_hot((shown + 1) % VOCAB, VOCAB).float(), None)

    def state(self, batch: int, capacity: int) -> KVCache:
        return KVCache(batch, capacity)

    def embed(self, tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape, WIDTH)

    def set_aux_layers(self, layers: tuple[int, ...]) -> None:
        pass


@dataclass
class TimedDrafter:
    """Right for as many levels as the root's remainder by 5; in whole generations each level
    takes `drag` times what it takes in a rehearsal. With `levels` the first gives them all."""

    clock: Clock
    drag: float = 1.0
    levels: int | None = None
    name: str = "timed"
    needs_features: bool = False
    calls: int = 0
    weight_bytes: int = 0

    def start(self, batch: int, capacity: int) -> None:
        self._slow = 1.0

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        self.clock.now_s += PREFILL_S
        self._root = first
        self._slow = 1.0 if key.endswith("/middle") else self.drag

    def reach(self) -> int:
        return self.levels or 1000

    def first(self, pick: Pick) -> Proposals:
        self._level = 0
        return self._propose(FIRST_S)

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        self._level += 1
        return self._propose(0.0 if self.levels else EXTEND_S)

    def _propose(self, seconds: float) -> Proposals:
        self.clock.now_s += seconds * self._slow
        right = self._level < self._root % 5
        token = (self._root + 1 + self._level) % VOCAB if right else (self._root + 50) % VOCAB
        return Proposals(torch.tensor([[[token]]]), torch.zeros(1, 1, 1))

    def commit(
        self, paths: list[list[int]], emitted: list[list[int]], features: Tensor | None
    ) -> None:
        self.clock.now_s += COMMIT_S
        self._root = emitted[0][-1]

    def move_row(self, source: int, target: int) -> None:
        pass

    def resize(self, batch: int) -> None:
        pass

    def cache_bytes(self) -> int:
        return 0

    def record(self, key: str, tokens: list[int]) -> None:
        pass
