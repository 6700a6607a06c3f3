"""From the samples of two arms to the predicted and the measured speedup, and their difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eagle_bench.measure.cost.model import Costs, residual
from eagle_bench.measure.cost.parts import Parts, Sample


@dataclass(frozen=True)
class Counts:
    """Sums over generations: rounds, their tokens, and those that were emitted (not the first)."""

    rounds: int
    round_tokens: int
    tokens: int

    @property
    def tau(self) -> float:
        """Tokens per round, those that the last round was cut off by included."""
        return self.round_tokens / self.rounds

    @property
    def emitted(self) -> float:
        """Emitted tokens per round."""
        return self.tokens / self.rounds


@dataclass(frozen=True)
class Prediction:
    """A method's costs timed by themselves (`predicted`) and within whole generations.

    Attributes
    ----------
    speedup : float
        Measured: decode throughput of the method over the baseline's.
    endless : float
        Predicted for endless outputs: `tau * t_1 / (t_d + t_v + t_o)`.
    """

    predicted: Costs
    measured: Costs
    speedup: float
    endless: float

    @property
    def difference(self) -> float:
        """Predicted over measured speedup, minus 1."""
        return self.predicted.speedup / self.speedup - 1

    @property
    def residual(self) -> dict[str, float]:
        """`model.residual`: log(measured / predicted speedup) by term."""
        return residual(self.predicted, self.measured, self.speedup)

    def plain(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "predicted": asdict(self.predicted)
            | {"speedup": self.predicted.speedup, "endless": self.endless},
            "measured": asdict(self.measured) | {"speedup": self.speedup},
            "difference": self.difference,
            "residual": self.residual,
        }


def counted(samples: Sequence[Sample]) -> Counts:
    """What a method's timed generations counted."""
    return Counts(
        rounds=sum(sample.rounds for sample in samples),
        round_tokens=sum(sum(sample.accept_lengths) + sample.rounds for sample in samples),
        tokens=sum(sample.tokens for sample in samples),
    )


def predict(baseline: Sequence[Sample], method: Sequence[Sample], counts: Counts) -> Prediction:
    """Pool the samples of the same prompts.

    Parameters
    ----------
    baseline, method : sequence of Sample
    counts : Counts
        Of the method's recorded generations of these prompts: what the prediction knows of
        acceptance.
    """
    predicted = _costs(baseline, method, lambda sample: sample.rehearsed, counts.emitted)
    measured = _costs(baseline, method, lambda sample: sample.watched, counted(method).emitted)
    return Prediction(
        predicted, measured, _rate(method) / _rate(baseline), predicted.asymptotic(counts.tau)
    )


def _costs(
    baseline: Sequence[Sample],
    method: Sequence[Sample],
    of: Callable[[Sample], Parts],
    tau: float,
) -> Costs:
    """Seconds per round, each prompt's weighted by its rounds."""
    rounds = sum(sample.rounds for sample in method)
    steps = sum(sample.rounds for sample in baseline)
    return Costs(
        step_s=sum(sample.rounds * of(sample).round_s for sample in baseline) / steps,
        verify_s=sum(sample.rounds * of(sample).verify_s for sample in method) / rounds,
        draft_s=sum(sample.rounds * of(sample).draft_s for sample in method) / rounds,
        other_s=sum(sample.rounds * of(sample).other_s for sample in method) / rounds,
        tau=tau,
        start_s=sum(of(sample).start_s for sample in method) / rounds,
    )


def _rate(samples: Sequence[Sample]) -> float:
    """Decoded tokens per second."""
    return sum(sample.tokens for sample in samples) / sum(sample.decode_s for sample in samples)
