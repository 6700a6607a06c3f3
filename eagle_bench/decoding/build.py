"""From settings to the two arms of a run."""

from __future__ import annotations

from eagle_bench.config.decoding import (
    AdaptiveConfig,
    ChainConfig,
    OnePassConfig,
    StaticTreeConfig,
    TreeConfig,
    TwoPassConfig,
)
from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import Proposal, Stop
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.adaptive import Adaptive
from eagle_bench.decoding.methods.method import Method, Proposing
from eagle_bench.decoding.methods.static_tree import StaticTree
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.decoding.one_pass import OnePass
from eagle_bench.decoding.two_pass import TwoPass
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.machine.clock import NoPhases, PhaseClock
from eagle_bench.models.sampling import Sampling
from eagle_bench.models.target import Target
from eagle_bench.records.generation import BASELINE, Arm


def sampling_of(config: RunConfig) -> Sampling:
    """The run's choice of tokens."""
    return Sampling(config.temperature, config.top_p, config.top_k, config.seed)


def build_baseline(
    config: RunConfig, target: Target, phases: PhaseClock | NoPhases | None = None
) -> Decoder:
    """The target alone: the loop with nothing drafted, one target call per token."""
    sampling = sampling_of(config)
    nothing = Tree(BASELINE, 0, 1, 0, Proposing(Proposal.greedy, sampling))
    ignore_eos = config.stop is Stop.length
    return Decoder(target, NoDrafter(), nothing, sampling, ignore_eos=ignore_eos, phases=phases)


def plain_greedy(target: Target, name: str = BASELINE) -> Decoder:
    """The target alone, greedy, to EOS: for checks that need a text of the target's own."""
    sampling = Sampling()
    nothing = Tree(name, 0, 1, 0, Proposing(Proposal.greedy, sampling))
    return Decoder(target, NoDrafter(), nothing, sampling)


def build_speculative(
    config: RunConfig,
    target: Target,
    drafter: Drafter,
    phases: PhaseClock | NoPhases | None = None,
) -> Arm:
    """The arm that `config.decoding` describes."""
    ignore_eos = config.stop is Stop.length
    match config.decoding:
        case TwoPassConfig(draft_len=draft_len):
            return TwoPass(target, drafter, draft_len, ignore_eos=ignore_eos)
        case OnePassConfig(draft_len=draft_len):
            return OnePass(target, drafter, draft_len, ignore_eos=ignore_eos)
    return Decoder(
        target,
        drafter,
        build_method(config),
        sampling_of(config),
        ignore_eos=ignore_eos,
        phases=phases,
    )


def build_method(config: RunConfig) -> Method:
    """The draft shape that `config.decoding` describes; a chain is a tree of width 1."""
    decoding = config.decoding
    proposing = Proposing(decoding.proposal, sampling_of(config))
    match decoding:
        case ChainConfig():
            return Tree(decoding.name, decoding.draft_len, 1, decoding.draft_len, proposing)
        case TreeConfig():
            nodes = decoding.num_draft_tokens
            return Tree(decoding.name, decoding.depth, decoding.top_k, nodes, proposing)
        case StaticTreeConfig():
            return StaticTree(decoding.choices, proposing)
        case AdaptiveConfig():
            return Adaptive(decoding, proposing)
    raise AssertionError(f"no method is built from {type(decoding).__name__}")
