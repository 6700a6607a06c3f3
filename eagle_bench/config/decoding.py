"""The group `decoding`: one class for each method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from omegaconf import MISSING

from eagle_bench.config.values import AdaptiveRule, Proposal, at_least, within
from eagle_bench.errors import UserError


@dataclass
class DecodingConfig:
    """A speculative method: the shape of a draft and the rule that chooses it.

    Attributes
    ----------
    proposal : Proposal
        Draft tokens are the drafter's best, or drawn from its distribution.
    draft_len : int
        Tokens of a draft.
    depth : int
        Levels of a tree.
    """

    depth_key: ClassVar[str | None] = None
    """The setting that says how deep each of its drafts is, where one does."""
    cached: ClassVar[bool] = True
    """Whether it runs over a KV cache, in the loop that phases and parts are timed in."""
    prunes: ClassVar[bool] = False
    """Whether it keeps the best of more candidates, which would bias drawn ones."""

    name: str = MISSING
    proposal: Proposal = Proposal.greedy

    @property
    def width(self) -> int:
        """The most children of one node."""
        return 1

    @property
    def levels(self) -> int:
        """Levels of its deepest draft; only where `cached` is set."""
        raise AssertionError(f"{self.name} has no levels")

    @property
    def is_tree(self) -> bool:
        """Whether its drafts are trees, also where they happen to be one node wide."""
        return False

    def with_depth(self, depth: int) -> Self:
        """The same method with drafts of `depth` levels; only where `depth_key` is set."""
        raise AssertionError(f"{self.name} has no fixed depth")


@dataclass
class ChainConfig(DecodingConfig):
    """`draft_len` tokens one after another."""

    depth_key: ClassVar[str | None] = "draft_len"

    draft_len: int = 4

    def __post_init__(self) -> None:
        at_least("decoding.draft_len", self.draft_len, 1)

    @property
    def levels(self) -> int:
        return self.draft_len

    def with_depth(self, depth: int) -> Self:
        return replace(self, draft_len=depth)


@dataclass
class TwoPassConfig(DecodingConfig):
    """The seed's reference: two target calls per iteration, no KV cache."""

    cached: ClassVar[bool] = False

    draft_len: int = 4

    def __post_init__(self) -> None:
        at_least("decoding.draft_len", self.draft_len, 1)


@dataclass
class OnePassConfig(DecodingConfig):
    """A reference: one target call per iteration, no KV cache."""

    cached: ClassVar[bool] = False

    draft_len: int = 4

    def __post_init__(self) -> None:
        at_least("decoding.draft_len", self.draft_len, 1)


@dataclass
class TreeConfig(DecodingConfig):
    """EAGLE-2/3's dynamic tree: the best nodes of all levels are kept.

    Attributes
    ----------
    top_k : int
        Children of a node, and nodes of a level that get some.
    num_draft_tokens : int
        Nodes that are verified.
    """

    depth_key: ClassVar[str | None] = "depth"
    prunes: ClassVar[bool] = True

    depth: int = 6
    top_k: int = 6
    num_draft_tokens: int = 24

    def __post_init__(self) -> None:
        at_least("decoding.depth", self.depth, 1)
        at_least("decoding.top_k", self.top_k, 1)
        at_least("decoding.num_draft_tokens", self.num_draft_tokens, 1)
        pool = self._pool(self.depth)
        if self.num_draft_tokens > pool:
            raise UserError(
                f"decoding.num_draft_tokens={self.num_draft_tokens} is more than the {pool} "
                f"candidates that depth={self.depth} and top_k={self.top_k} make; lower it, "
                "or raise depth or top_k."
            )

    def _pool(self, depth: int) -> int:
        """Candidates that `depth` levels make."""
        return self.top_k + (depth - 1) * self.top_k**2

    @property
    def width(self) -> int:
        return self.top_k

    @property
    def is_tree(self) -> bool:
        return True

    @property
    def levels(self) -> int:
        return self.depth

    def with_depth(self, depth: int) -> Self:
        nodes = min(self.num_draft_tokens, self._pool(depth))
        return replace(self, depth=depth, num_draft_tokens=nodes)


@dataclass
class StaticTreeConfig(DecodingConfig):
    """A fixed tree, Medusa's way.

    Attributes
    ----------
    choices : list of list of int
        Its nodes, each as the child ranks from the root.
    """

    depth_key: ClassVar[str | None] = "depth"

    choices: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.choices:
            raise UserError("decoding.choices is empty: a static tree needs at least one node.")
        nodes = {tuple(choice) for choice in self.choices}
        if len(nodes) != len(self.choices):
            raise UserError("decoding.choices is not a tree: a node appears twice.")
        for node in sorted(nodes):
            if not node or min(node) < 0:
                raise UserError(
                    f"decoding.choices is not a tree: {list(node)} is not a non-empty list of "
                    "child ranks counted from 0."
                )
            if len(node) > 1 and node[:-1] not in nodes:
                raise UserError(
                    f"decoding.choices is not a tree: node {list(node)} has no parent "
                    f"{list(node[:-1])}."
                )

    @property
    def width(self) -> int:
        return 1 + max(max(choice) for choice in self.choices)

    @property
    def is_tree(self) -> bool:
        return True

    @property
    def levels(self) -> int:
        return max(map(len, self.choices))

    def with_depth(self, depth: int) -> Self:
        return replace(self, choices=[each for each in self.choices if len(each) <= depth])


@dataclass
class AdaptiveConfig(DecodingConfig):
    """A chain whose length is chosen anew each round.

    Attributes
    ----------
    rule : AdaptiveRule
        By mean acceptance, by the drafter's confidence, or by what is worth its time.
    max_draft_len : int
        The longest draft of confidence and throughput.
    start_draft_len : int
        The first drafts' length.
    candidates : list of int
        The lengths that ema chooses from.
    threshold : float
        confidence drafts on while the draft's probability is at least this.
    ema_alpha : float
        The weight of the latest round in ema's mean.
    warmup_rounds : int
        Rounds before ema first changes the length.
    update_every : int
        Rounds between ema's changes.
    """

    rule: AdaptiveRule = AdaptiveRule.throughput
    max_draft_len: int = 8
    start_draft_len: int = 4
    candidates: list[int] = field(default_factory=lambda: [1, 3, 5, 7])
    threshold: float = 0.3
    ema_alpha: float = 0.2
    warmup_rounds: int = 10
    update_every: int = 5

    def __post_init__(self) -> None:
        at_least("decoding.max_draft_len", self.max_draft_len, 1)
        at_least("decoding.start_draft_len", self.start_draft_len, 1)
        within("decoding.threshold", self.threshold, "[0, 1]")
        if not self.candidates or min(self.candidates) < 1:
            raise UserError("decoding.candidates must be draft lengths of at least 1.")

    @property
    def levels(self) -> int:
        return max(self.max_draft_len, *self.candidates)


DECODINGS: dict[str, type[DecodingConfig]] = {
    "chain": ChainConfig,
    "two_pass": TwoPassConfig,
    "one_pass": OnePassConfig,
    "tree": TreeConfig,
    "static_tree": StaticTreeConfig,
    "adaptive": AdaptiveConfig,
}
