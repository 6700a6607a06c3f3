"""`decoding=adaptive`: a chain whose length is chosen anew each round, by one of three rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import Tensor

from eagle_bench.config.decoding import AdaptiveConfig
from eagle_bench.config.values import AdaptiveRule
from eagle_bench.decoding.draft import Draft
from eagle_bench.decoding.methods.grow import grow
from eagle_bench.decoding.methods.method import Proposing, Streams
from eagle_bench.drafters.drafter import Drafter


class Rule(Protocol):
    """Chooses the depth of the coming round and learns from the last one."""

    def depth(self) -> int: ...

    def keep_going(self, score: float) -> bool:
        """Whether to draft past a path of that log-probability."""
        ...

    def observe(self, depth: int, accepted: list[int], seconds: float) -> None: ...


class Ema:
    """SGLang's rule: steps between candidate lengths on a moving average of accepted tokens."""

    def __init__(self, config: AdaptiveConfig) -> None:
        self.config = config
        self.lengths = sorted(config.candidates)
        start = min(self.lengths, key=lambda length: abs(length - config.start_draft_len))
        self.index = self.lengths.index(start)
        self.average = float(start)
        self.rounds = 0

    def depth(self) -> int:
        return self.lengths[self.index]

    def keep_going(self, score: float) -> bool:
        return True

    def observe(self, depth: int, accepted: list[int], seconds: float) -> None:
        alpha = self.config.ema_alpha
        self.average += alpha * (sum(accepted) / len(accepted) - self.average)
        self.rounds += 1
        past = self.rounds - self.config.warmup_rounds
        if past < 0 or past % self.config.update_every:
            return
        if self.index > 0 and self.average <= self.lengths[self.index - 1] - 0.75:
            self.index -= 1
        elif self.index + 1 < len(self.lengths) and self.average > self.depth() - 0.5:
            self.index += 1


class Confidence:
    """Ends a draft when its path's probability falls under a threshold."""

    def __init__(self, config: AdaptiveConfig) -> None:
        self.config = config
        self.floor = math.log(max(config.threshold, 1e-30))

    def depth(self) -> int:
        return self.config.max_draft_len

    def keep_going(self, score: float) -> bool:
        return score >= self.floor

    def observe(self, depth: int, accepted: list[int], seconds: float) -> None:
        pass


class Throughput:
    """Drafts on as long as one more level is worth its time.

    Tokens per second are highest where a level's expected tokens equal its seconds times the
    tokens per second reached (the marginal value theorem; Charnov, 1976). Round seconds are
    fitted as a + b * depth from the rounds seen; that a path is accepted through its next level
    is expected from the drafter's probability of the path so far, corrected by how often such
    paths were accepted at that depth. A drafter that is always sure is thus judged by its
    record alone. The first rounds try several depths so that b can be known.
    """

    DECAY = 0.98
    PRIOR = 4.0

    def __init__(self, config: AdaptiveConfig) -> None:
        self.longest = config.max_draft_len
        self.promised = np.zeros(self.longest)
        self.kept = np.zeros(self.longest)
        self.moments = np.zeros(5)
        self.tokens = 0.0
        self.trials = [min(config.start_draft_len, self.longest), self.longest, 1] * 3
        self._paths: list[float] = []
        self._price = 0.0

    def depth(self) -> int:
        self._paths = [1.0]
        if self.trials:
            return self.trials[-1]
        n, x, y, xx, xy = self.moments
        spread = n * xx - x * x
        level_s = max((n * xy - x * y) / spread, 0.0) if spread > 1e-9 * n * xx else 0.0
        self._price = level_s * self.tokens / y
        return self.longest

    def keep_going(self, score: float) -> bool:
        self._paths.append(math.exp(score))
        if self.trials:
            return True
        level = len(self._paths) - 1
        overall = (self.kept.sum() + 1.0) / (self.promised.sum() + 2.0)
        record = (self.kept[level] + self.PRIOR * overall) / (self.promised[level] + self.PRIOR)
        return bool(record * self._paths[level] >= self._price)

    def observe(self, depth: int, accepted: list[int], seconds: float) -> None:
        if self.trials:
            self.trials.pop()
        rows = len(accepted)
        self.promised *= self.DECAY
        self.kept *= self.DECAY
        self.promised[:depth] += self._paths[:depth]
        self.kept[:depth] += [
            sum(count > level for count in accepted) / rows for level in range(depth)
        ]
        tokens = 1.0 + sum(accepted) / rows
        sums = [1.0, depth, seconds, depth * depth, depth * seconds]
        self.moments = self.moments * self.DECAY + np.array(sums)
        self.tokens = self.tokens * self.DECAY + tokens


RULES: dict[AdaptiveRule, Callable[[AdaptiveConfig], Rule]] = {
    AdaptiveRule.ema: Ema,
    AdaptiveRule.confidence: Confidence,
    AdaptiveRule.throughput: Throughput,
}


class Adaptive:
    """A chain of the length that `rule` asks for."""

    def __init__(self, config: AdaptiveConfig, proposing: Proposing) -> None:
        self.name = "adaptive"
        self.rule: Rule = RULES[config.rule](config)
        self.checks = config.rule is not AdaptiveRule.ema
        self.max_nodes = max(config.max_draft_len, *config.candidates)
        self.max_extended = self.max_nodes
        self.proposing = proposing

    def draft(self, drafter: Drafter, batch: int, room: int, streams: Streams) -> Draft:
        pick = self.proposing.pick(1, streams)
        stop = self._stop if self.checks else None
        return grow(drafter, min(self.rule.depth(), room), self.max_nodes, pick, stop)

    def observe(self, depth: int, accepted: list[int], seconds: float) -> None:
        if depth:
            self.rule.observe(depth, accepted, seconds)

    def _stop(self, scores: Tensor) -> bool:
        return not self.rule.keep_going(float(scores.max()))
