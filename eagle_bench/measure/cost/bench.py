"""What the cost model of a run needs timed, prompt by prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from eagle_bench.config.decoding import ChainConfig, DecodingConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.decoding.loop import Decoder
from eagle_bench.engines.session import Session
from eagle_bench.machine.clock import NoPhases, PhaseClock
from eagle_bench.measure.cost.outlook import depths, timed_lengths
from eagle_bench.measure.cost.parts import (
    Parts,
    Place,
    Sample,
    Subject,
    rehearse,
    time_verifications,
)
from eagle_bench.measure.cost.roofline import roofline
from eagle_bench.records.generation import Arm


class Bench:
    """Everything that is timed, prompt by prompt.

    `own` are rehearsals of the method at its other depths, `chains` those of chains that the
    oracle bound needs, where the method is not one itself.
    """

    def __init__(
        self, config: RunConfig, session: Session, deepest: int, longest_accepted: int
    ) -> None:
        self.config, self.session = config, session
        self.clock = PhaseClock(session.target.spec.device)
        self.baseline = Subject(partial(build_baseline, config, session.target), self.clock)
        self.steps: list[Sample] = []
        self.samples: list[Sample] = []
        self.verifications: dict[int, list[float]] = {}
        self.own: dict[int, Rehearsals] = {}
        self.chains: dict[int, Rehearsals] = {}
        self.method: Subject | None = None
        if config.decoding.cached:
            self.method = Subject(partial(self._decoder, config.decoding), self.clock)
            for depth in depths(config.decoding, deepest, session.drafter.levels):
                if depth != deepest:
                    self.own[depth] = self._rehearsals(config.decoding.with_depth(depth))
            if config.decoding.is_tree or config.decoding.depth_key is None:
                for length in timed_lengths(longest_accepted):
                    proposal = config.decoding.proposal
                    self.chains[length] = self._rehearsals(ChainConfig("chain", proposal, length))

    def visit(self, place: Place, *, turned: bool) -> None:
        """Time everything at one prompt; `turned` swaps the arms."""
        features = self.session.drafter.drafter.needs_features
        if not turned:
            self.steps.append(self.baseline.measure(place))
        if self.method is not None:
            self.samples.append(self.method.measure(place))
        if turned:
            self.steps.append(self.baseline.measure(place))
        for n, verify_s in time_verifications(
            self.session.target, place, features=features
        ).items():
            self.verifications.setdefault(n, []).append(verify_s)
        for shape in (*self.own.values(), *self.chains.values()):
            shape.seen.append(rehearse(shape.decoder, self.clock, place))

    def mean_round_s(self, shapes: Mapping[int, Rehearsals]) -> dict[int, float]:
        """Seconds of a round by depth, without the drafter's prefill."""
        return {
            depth: fmean(parts.round_s for parts in shape.seen) for depth, shape in shapes.items()
        }

    def own_draft_s(self) -> dict[int, float]:
        """Seconds of a round's drafting at the method's other depths."""
        return {
            depth: fmean(parts.draft_s for parts in shape.seen) for depth, shape in self.own.items()
        }

    def verify_s(self) -> dict[int, float]:
        """t_v by tokens."""
        return {n: fmean(seconds) for n, seconds in self.verifications.items()}

    def target_alone(self, places: Sequence[Place]) -> dict[str, Any]:
        """What is known of the target by itself, beside its floors."""
        roof = roofline(self.session.target)
        context_len = fmean(len(place.context) for place in places)
        verify_s = self.verify_s()
        return {
            "prompts": len(places),
            "context_len": context_len,
            "roofline": {
                "device": roof.device,
                **asdict(roof.speed),
                "weight_bytes": roof.work.read_bytes(1, 0),
                "cache_bytes": roof.work.cache_bytes,
                "parameters": roof.work.flop(1) / 2,
            },
            "step_s": verify_s[1],
            "step_floor_s": roof.step_s(context_len),
            "verify": [
                {"tokens": n, "verify_s": seconds, "floor_s": roof.verify_s(n, context_len)}
                for n, seconds in verify_s.items()
            ],
        }

    def _arm(self, decoding: DecodingConfig, phases: PhaseClock | NoPhases) -> Arm:
        config = replace(self.config, decoding=decoding)
        return build_speculative(config, self.session.target, self.session.drafter.drafter, phases)

    def _decoder(self, decoding: DecodingConfig, phases: PhaseClock | NoPhases) -> Decoder:
        arm = self._arm(decoding, phases)
        assert isinstance(arm, Decoder)
        return arm

    def _rehearsals(self, decoding: DecodingConfig) -> Rehearsals:
        return Rehearsals(self._decoder(decoding, self.clock), [])


@dataclass
class Rehearsals:
    """A draft shape and its parts at every prompt."""

    decoder: Decoder
    seen: list[Parts]
