"""What the decoding methods ask of a drafter."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from eagle_bench.drafters.pick import Pick


class Proposals(NamedTuple):
    """Candidates for the children of `f` nodes: target ids and log p `[batch, f, k]`.

    `q` `[batch, f, vocab]` is the distribution they were drawn from, None when they are the
    drafter's best.
    """

    tokens: Tensor
    log_probs: Tensor
    q: Tensor | None = None


class Drafter(Protocol):
    """Drafts level by level, and is told what the target accepted.

    Attributes
    ----------
    name : str
    needs_features : bool
        Whether `prefill` and `commit` want the target's features.
    weight_bytes : int
        Bytes of its own weights; what it shares with the target is the target's.
    calls : int
        Forward passes of the drafter so far.
    """

    name: str
    needs_features: bool
    calls: int
    weight_bytes: int

    def start(self, batch: int, capacity: int) -> None:
        """Forget everything; make room for `batch` rows of `capacity` tokens."""
        ...

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        """Begin `row`: its prompt, the target's first token, features `[1, n, width]`."""
        ...

    def reach(self) -> int:
        """How many levels it can draft now."""
        ...

    def first(self, pick: Pick) -> Proposals:
        """Children of the roots: `f` is 1."""
        ...

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        """Children of the frontier's `f` nodes, one level deeper.

        Parameters
        ----------
        tokens, parents : Tensor
            int64 `[batch, f]`: the frontier's tokens, and the index of each one's parent in
            the frontier before (0 at the first extension).
        visible : Tensor
            bool `[batch, f, levels * f]`: its ancestors and itself among all nodes extended
            in this round.
        """
        ...

    def commit(
        self, paths: list[list[int]], emitted: list[list[int]], features: Tensor | None
    ) -> None:
        """What the target made of the draft.

        `paths` are the accepted node numbers of each row, root included; `emitted` the
        accepted tokens with the bonus behind them; `features` `[batch, nodes, width]`.
        """
        ...

    def move_row(self, source: int, target: int) -> None:
        """Row `source` continues as row `target`."""
        ...

    def resize(self, batch: int) -> None:
        """From now on the first `batch` rows take part."""
        ...

    def cache_bytes(self) -> int:
        """Bytes of its cache as it stands."""
        ...

    def record(self, key: str, tokens: list[int]) -> None:
        """The baseline's output for the request `key`, which only an oracle keeps."""
        ...
