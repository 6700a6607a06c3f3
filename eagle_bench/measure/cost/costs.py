"""The cost model of a run: its parts timed, the speedup predicted, and what was possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np

from eagle_bench.config.decoding import DecodingConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.data.prompt import Prompt
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Session
from eagle_bench.measure.cost.bench import Bench
from eagle_bench.measure.cost.device_speed import cache_file
from eagle_bench.measure.cost.model import Costs, advice, gains, oracle_bound
from eagle_bench.measure.cost.outlook import best_depth, break_even, reached
from eagle_bench.measure.cost.parts import Place
from eagle_bench.measure.cost.prediction import Counts, predict
from eagle_bench.measure.cost.roofline import card, roofline
from eagle_bench.records.generation import BASELINE
from eagle_bench.records.rows import GenerationRow, RoundRow

PROMPTS = 6


def cost_card(config: RunConfig, session: Session, prompts: Sequence[Prompt]) -> list[str]:
    """The roofline card of a run, for the terminal before anything is measured."""
    lengths = [len(Conversation(session, prompt).context()) for prompt in prompts]
    return card(roofline(session.target), fmean(lengths) + config.gen_len / 2)


def measure_costs(
    config: RunConfig,
    session: Session,
    prompts: Sequence[Prompt],
    rows: Sequence[GenerationRow],
    rounds: Sequence[RoundRow],
) -> dict[str, Any]:
    """Time the parts on a few prompts, one sequence at a time, and predict from them.

    Acceptance comes from the recorded `rows` and `rounds`; every second is measured here,
    parts and whole generations prompt by prompt, so that they see the same machine.

    Returns
    -------
    dict
        Plain JSON types:

        - `prompts`, `context_len`: prompts used, and tokens of context at half of the outputs
        - `roofline`: `device`, `bytes_s`, `flop_s`, `weight_bytes` (read by a step),
          `cache_bytes` (of one token of context), `parameters` (that a token passes)
        - `step_s`, `step_floor_s`: the target's one-token step by itself, and its floor
        - `verify`: per n `tokens`, `verify_s`, `floor_s`
        - `method`: the arm, null where only the target could be timed (see `notes`); then
          there is nothing of what follows
        - `predicted`, `measured`: `step_s` (t_1 in the baseline's loop), `start_s` (t_p / R),
          `draft_s`, `verify_s`, `other_s`, `tau` (emitted per round), `speedup` (decoding);
          `predicted.endless` is `tau * t_1 / (t_d + t_v + t_o)`
        - `difference`, `residual`: predicted over measured minus 1, and its split by term
        - `depth`: null, or `what` (`draft_len` or `depth`) and the keys of
          `outlook.best_depth`
        - `tree`: null, or `outlook.break_even`
        - `oracle_bound`: decode speedup had every round known what would be accepted
        - `gains`, `advice`: predicted speedup with one loss halved, and the best one in words
        - `notes`: sentences on what could not be told
    """
    places = _places(config, session, prompts, rows)
    if not places:
        return {"prompts": 0, "method": None, "notes": ["No output has a second token to time."]}
    spoken = [row for row in rows if row.arm != BASELINE]
    accepted = [length for row in spoken for length in row.accept_lengths or ()]
    drafted = [each for each in rounds if each.arm != BASELINE]
    deepest = max((each.depth for each in drafted), default=0)
    bench = Bench(config, session, deepest, max(accepted, default=0))
    for number, place in enumerate(places):
        bench.visit(place, turned=number % 2 == 1)
    found = bench.target_alone(places) | {"method": None}
    if not bench.samples:
        untimed = f"decoding={config.decoding.name} has no rounds whose parts could be timed."
        return found | {"notes": [*_contradictions(found), untimed]}
    counts = _counts(spoken, places)
    prediction = predict(bench.steps, bench.samples, counts)
    costs = prediction.predicted
    own_s = {deepest: costs.round_s - costs.start_s} | bench.mean_round_s(bench.own)
    chain_s = {0: costs.step_s} | (
        own_s
        if config.decoding.depth_key and not config.decoding.is_tree
        else bench.mean_round_s(bench.chains)
    )
    nodes = fmean(each.nodes for each in drafted)
    return found | {
        "method": spoken[0].arm,
        **prediction.plain(),
        "depth": _depth(
            config.decoding,
            costs,
            counts,
            accepted,
            own_s,
            {deepest: costs.draft_s} | bench.own_draft_s(),
        ),
        "tree": break_even(costs, counts.tau, nodes, bench.verify_s())
        if config.decoding.is_tree
        else None,
        "oracle_bound": oracle_bound(accepted, partial(_between, chain_s), costs.step_s),
        "gains": gains(costs, deepest + 1),
        "advice": advice(costs, deepest + 1),
        "notes": [*_contradictions(found), *_untold(config.decoding)],
    }


def _places(
    config: RunConfig, session: Session, prompts: Sequence[Prompt], rows: Sequence[GenerationRow]
) -> list[Place]:
    """Up to `PROMPTS` prompts from all over the set, with the baseline's first answers."""
    said = {
        row.prompt_id: row.token_ids
        for row in rows
        if row.arm == BASELINE and row.turn == row.repeat == 0 and row.new_tokens > 1
    }
    usable = [prompt for prompt in prompts if prompt.id in said]
    spread = np.linspace(0, len(usable) - 1, min(PROMPTS, len(usable))).round().astype(int)
    return [
        Place(Conversation(session, each).request(config.gen_len), said[each.id])
        for each in (usable[index] for index in spread)
    ]


def _counts(spoken: Sequence[GenerationRow], places: Sequence[Place]) -> Counts:
    """What the run recorded of the method's first answers at these prompts."""
    keys = {place.request.key for place in places}
    own = [row for row in spoken if row.repeat == 0 and row.key in keys]
    return Counts(
        rounds=sum(row.told[1] for row in own),
        round_tokens=sum(row.told[1] + row.told[3] for row in own),
        tokens=sum(row.new_tokens - 1 for row in own),
    )


def _between(by_depth: Mapping[int, float], depth: int) -> float:
    """Seconds at a depth that may lie between timed ones."""
    known = sorted(by_depth)
    return float(np.interp(depth, known, [by_depth[each] for each in known]))


def _depth(
    decoding: DecodingConfig,
    costs: Costs,
    counts: Counts,
    accepted: Sequence[int],
    round_s: Mapping[int, float],
    draft_s: Mapping[int, float],
) -> dict[str, Any] | None:
    if decoding.depth_key is None:
        return None
    known = min(decoding.levels, max(round_s))
    return {"what": decoding.depth_key} | best_depth(
        costs, counts.tau, reached(accepted, known), round_s, draft_s
    )


def _contradictions(found: Mapping[str, Any]) -> list[str]:
    """A time below its floor means that the device's speed was read in a busy moment."""
    below = [each["tokens"] for each in found["verify"] if each["verify_s"] < each["floor_s"]]
    if not below:
        return []
    return [
        f"Verifying {below[0]} tokens took less than its floor: this device's speed was measured "
        f"in a busy moment; remove {cache_file()} to have it measured again."
    ]


def _untold(decoding: DecodingConfig) -> list[str]:
    """What the recorded rounds cannot answer."""
    if decoding.is_tree:
        return [
            "Which of a tree's nodes were accepted is not recorded, so trees of other sizes "
            "are given by the tau at which they would be as fast."
        ]
    if decoding.depth_key:
        return ["A chain's rounds do not tell what a tree would accept."]
    return [
        f"decoding={decoding.name} drafts far only where that promises much, so its rounds do not "
        "tell what a fixed length would accept."
    ]
