"""Do the costs of the parts predict the speedup of the whole?

    python experiments/cost_model/measure.py [PROMPTS] [GEN_LEN]

A first pass over the prompts leaves counts alone: how many tokens each method's rounds accept.
Then, prompt by prompt, the parts are timed by themselves on real caches at that context: a
one-token step of the target (t_1), and for every method rounds with forced acceptance: draft (t_d),
verification of the nodes (t_v), accepting and committing (t_o). How many tokens a forced round
accepts is drawn from the counts, so no time of a generation enters the prediction
tau * t_1 / (t_d + t_v + t_o). Between the parts all arms generate the same prompt, and their decode
speedups are measured: the machine's speed drifts, and parts and wholes must see the same machine.
Writes `table.md`, `costs.csv` and `predicted.png` beside this file.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.progress import track

from eagle_bench import schema
from eagle_bench.config import RunConfig
from eagle_bench.data.chat import opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.decoding.accept import accept_greedy
from eagle_bench.decoding.build import BASELINE, build_baseline, build_speculative
from eagle_bench.decoding.draft import Draft, no_draft
from eagle_bench.decoding.generation import Generation, Request
from eagle_bench.decoding.loop import Decoder
from eagle_bench.measure.costmodel import Costs, advice, oracle_bound
from eagle_bench.measure.session import Loader, Session
from eagle_bench.models.cache import KVCache
from eagle_bench.models.mask import attention_mask
from eagle_bench.results.style import COLOURS, canvas

HERE = Path(__file__).parent
METHODS = {
    **{f"chain K={k}": ["decoding=chain", f"decoding.draft_len={k}"] for k in range(1, 9)},
    **{
        f"tree {depth}x{top_k}, {nodes} nodes": [
            *("decoding=tree", f"decoding.depth={depth}", f"decoding.top_k={top_k}"),
            f"decoding.num_draft_tokens={nodes}",
        ]
        for depth, top_k, nodes in ((4, 2, 8), (5, 4, 16), (6, 6, 24))
    },
}
LONGEST = "chain K=8"
STEPS, ROUNDS, SETTLING = 24, 12, 2
"""Timed steps, and rounds of each method, at every prompt; the first ones are not counted."""


@dataclass
class Seen:
    """Sums over one arm's generations: decode seconds and tokens, accept lengths."""

    decode_s: float = 0.0
    tokens: int = 0
    accepted: list[int] = field(default_factory=list)

    def add(self, generation: Generation) -> None:
        self.decode_s += generation.wall_s - generation.prefill_s
        self.tokens += len(generation.tokens) - 1
        self.accepted += [each.accepted for each in generation.rounds]


@dataclass
class Parts:
    """Sums over forced rounds, in seconds."""

    draft_s: float = 0.0
    verify_s: float = 0.0
    other_s: float = 0.0
    rounds: int = 0


def composed(*overrides: str) -> RunConfig:
    """The typed settings of a run with `overrides`."""
    with initialize_config_dir(schema.CONF, version_base="1.3"):
        config = OmegaConf.to_object(compose("config", ["tracker=none", "threads=1", *overrides]))
    assert isinstance(config, RunConfig)
    return config


@torch.inference_mode()
def time_steps(session: Session, request: Request) -> float:
    """t_1: mean seconds of a one-token step behind the prompt."""
    cache = KVCache(1, len(request.tokens) + STEPS + SETTLING)
    context = torch.tensor([request.tokens])
    positions = torch.arange(len(request.tokens))[None]
    session.target.forward(context, positions, None, cache, features=False)
    cache.commit_all()
    for number in range(STEPS + SETTLING):
        if number == SETTLING:
            began_s = time.perf_counter()
        at = torch.tensor([cache.lengths])
        step = session.target.forward(context[:, -1:], at, None, cache, features=False)
        accept_greedy(no_draft(1, context.device), step.logits)
        cache.commit([[0]])
    return (time.perf_counter() - began_s) / STEPS


@torch.inference_mode()
def time_rounds(
    decoder: Decoder, session: Session, request: Request, accepted: list[int], parts: Parts
) -> None:
    """Add `ROUNDS` rounds behind the prompt, each accepting one of `accepted` at random."""
    draws = random.Random(request.key)
    drafter, target = decoder.drafter, session.target
    n = len(request.tokens)
    capacity = n + (ROUNDS + SETTLING + 1) * (decoder.method.max_nodes + 2) + 2
    cache = KVCache(1, capacity)
    drafter.start(1, capacity)
    tokens = torch.tensor([request.tokens])
    step = target.forward(tokens, torch.arange(n)[None], None, cache, features=True)
    cache.commit_all()
    root = int(step.logits[0, -1].argmax())
    drafter.prefill(0, request.tokens, root, step.features, request.key)
    for number in range(ROUNDS + SETTLING):
        began_s = time.perf_counter()
        draft = decoder.method.draft(drafter, 1, 1000, [])
        drafted_s = time.perf_counter()
        nodes = torch.cat((torch.tensor([[root]]), draft.tokens), dim=1)
        positions = torch.tensor(cache.lengths)[:, None] + draft.depths
        mask = attention_mask(cache.lengths, draft.visible)
        step = target.forward(nodes, positions, mask, cache, features=True)
        verified_s = time.perf_counter()
        accept_greedy(draft, step.logits)
        judged_s = time.perf_counter()
        path = forced_path(draft, draws.choice(accepted))
        said = [int(draft.tokens[0, node - 1]) for node in path[1:]]
        root = int(step.logits[0, path[-1]].argmax())
        forced_s = time.perf_counter()
        cache.commit([path])
        drafter.commit([path], [[*said, root]], step.features)
        done_s = time.perf_counter()
        if number >= SETTLING:
            parts.draft_s += drafted_s - began_s
            parts.verify_s += verified_s - drafted_s
            parts.other_s += judged_s - verified_s + done_s - forced_s
            parts.rounds += 1


def forced_path(draft: Draft, length: int) -> list[int]:
    """The path of `length` nodes, or of the most there are, to the first node so deep."""
    depths = draft.depths[0].tolist()
    node = depths.index(min(length, max(depths)))
    path = [node]
    while path[0]:
        path.insert(0, int(draft.parents[0, path[0] - 1]))
    return path


def main(count: int = 24, gen_len: int = 128) -> None:
    """Measure, predict, compare and write the files."""
    schema.register()
    config = composed()
    session = Loader().session(config)
    prompts = load_prompts(config.dataset, count, 0).prompts
    requests = [Request(p.id, session.chat.encode(opening(p)), gen_len) for p in prompts]
    drafter = session.drafter.drafter
    arms = {BASELINE: build_baseline(config, session.target)}
    for name, overrides in METHODS.items():
        arm = build_speculative(composed(*overrides), session.target, drafter)
        assert isinstance(arm, Decoder)
        arms[name] = arm
    recorded = {name: Seen() for name in arms}
    for request in track(requests, "recording counts"):
        for name, arm in arms.items():
            recorded[name].add(*arm.generate([request]))
    seen = {name: Seen() for name in arms}
    parts = {name: Parts() for name in METHODS}
    steps_s = []
    names = list(arms)
    for index, request in enumerate(track(requests, "timing")):
        steps_s.append(time_steps(session, request))
        for place in range(len(names)):
            name = names[(index + place) % len(names)]
            seen[name].add(*arms[name].generate([request]))
            if name in parts:
                accepted = recorded[name].accepted
                time_rounds(arms[name], session, request, accepted, parts[name])
    plain_s = sum(steps_s) / len(steps_s)
    baseline_tok_s = seen[BASELINE].tokens / seen[BASELINE].decode_s
    rows, costs = [], {}
    for name, part in parts.items():
        accepted = recorded[name].accepted
        tau = 1 + sum(accepted) / len(accepted)
        draft_s, verify_s, other_s = (
            seconds / part.rounds for seconds in (part.draft_s, part.verify_s, part.other_s)
        )
        costs[name] = Costs(plain_s, verify_s, draft_s, other_s, tau)
        measured = seen[name].tokens / seen[name].decode_s / baseline_tok_s
        rows.append({
            "method": name, "tau": tau, "t_1_ms": 1e3 * plain_s, "t_d_ms": 1e3 * draft_s,
            "t_v_ms": 1e3 * verify_s, "t_o_ms": 1e3 * other_s,
            "predicted": costs[name].speedup, "measured": measured,
            "difference": costs[name].speedup / measured - 1,
        })  # fmt: skip
    table = pd.DataFrame(rows).set_index("method")
    by_length = {k: costs[f"chain K={k}"].round_s for k in range(1, 9)} | {0: plain_s}
    bound = oracle_bound(recorded[LONGEST].accepted, by_length.__getitem__, plain_s)
    best = str(table.predicted.idxmax())
    words = (
        f"Best by the model: {best} ({table.predicted[best]:.2f}x); measured best: "
        f"{table.measured.idxmax()} ({table.measured.max():.2f}x). Had every round of the chain "
        f"known how much would be accepted: {bound:.2f}x. {advice(costs['chain K=4'], 5.0)}"
    )
    table.round(4).to_csv(HERE / "costs.csv")
    lines = [
        "| method | tau | t_1 ms | t_d ms | t_v ms | t_o ms | predicted | measured | difference |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in table.iterrows():
        lines.append(
            f"| {name} | {row.tau:.2f} | {row.t_1_ms:.2f} | {row.t_d_ms:.2f} | {row.t_v_ms:.2f} | "
            f"{row.t_o_ms:.2f} | {row.predicted:.2f}x | {row.measured:.2f}x | "
            f"{row.difference:+.1%} |"
        )
    text = "\n".join([*lines, "", words, ""])
    (HERE / "table.md").write_text(text)
    with canvas(HERE / "predicted.png", 7.0) as (_, axes):
        top = 1.05 * max(table.predicted.max(), table.measured.max())
        axes.plot([0, top], [0, top], color=COLOURS[-1], linewidth=0.8)
        axes.scatter(table.measured, table.predicted, color=COLOURS[0])
        for name, row in table.iterrows():
            axes.annotate(
                str(name),
                (row.measured, row.predicted),
                xytext=(5, -4),
                textcoords="offset points",
                fontsize=8,
            )
        axes.set(xlim=(0.8, top), ylim=(0.8, top))
        axes.set_title("Predicted by the cost model against measured")
        axes.set_xlabel("Measured decode speedup")
        axes.set_ylabel("Predicted")
    print(text)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
