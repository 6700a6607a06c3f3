"""Do the costs of the parts predict the speedup of the whole?

    python experiments/cost_model/measure.py [PROMPTS] [GEN_LEN]

First the parts, each by itself on real caches at real contexts: a one-token step of the target
(t_1), and for every method a round with forced acceptance: draft (t_d), verification of its
nodes (t_v), accepting and committing (t_o). How many tokens are accepted is drawn from counts that
a recorded run left, so nothing of the measured times enters the prediction
tau * t_1 / (t_d + t_v + t_o). Then baseline and methods generate in turns and their decode
speedups are measured. Writes `table.md`, `costs.csv` and `predicted.png` beside this file.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass
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
from eagle_bench.decoding.draft import Draft
from eagle_bench.decoding.generation import Request
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
ROUNDS = 240
CONTEXTS = 6


@dataclass
class Recorded:
    """Sums over one method's generations: decode seconds and tokens, accept lengths."""

    decode_s: float = 0.0
    tokens: int = 0
    accepted: list[int] | None = None


def composed(*overrides: str) -> RunConfig:
    """The typed settings of a run with `overrides`."""
    with initialize_config_dir(schema.CONF, version_base="1.3"):
        config = OmegaConf.to_object(compose("config", ["tracker=none", "threads=1", *overrides]))
    assert isinstance(config, RunConfig)
    return config


def generate(arms: dict[str, Decoder], requests: list[Request]) -> dict[str, Recorded]:
    """All arms on every request in turns."""
    seen = {name: Recorded(accepted=[]) for name in arms}
    names = list(arms)
    for index, request in enumerate(track(requests, "generating")):
        for place in range(len(names)):
            name = names[(index + place) % len(names)]
            [generation] = arms[name].generate([request])
            seen[name].decode_s += generation.wall_s - generation.prefill_s
            seen[name].tokens += len(generation.tokens) - 1
            seen[name].accepted += [each.accepted for each in generation.rounds]
    return seen


@torch.inference_mode()
def step_s(session: Session, requests: list[Request]) -> float:
    """t_1: mean over contexts of the median seconds of a one-token step."""
    medians = []
    for request in requests:
        cache = KVCache(1, len(request.tokens) + 80)
        context = torch.tensor([request.tokens])
        positions = torch.arange(len(request.tokens))[None]
        session.target.forward(context, positions, None, cache, features=False)
        cache.commit_all()
        times = []
        for _ in range(60):
            began_s = time.perf_counter()
            at = torch.tensor([[cache.lengths[0]]])
            step = session.target.forward(context[:, -1:], at, None, cache, features=False)
            int(step.logits[0, -1].argmax())
            cache.commit([[0]])
            times.append(time.perf_counter() - began_s)
        medians.append(sorted(times)[len(times) // 2])
    return sum(medians) / len(medians)


@torch.inference_mode()
def round_costs(
    decoder: Decoder, session: Session, requests: list[Request], accepted: list[int]
) -> tuple[float, float, float]:
    """(t_d, t_v, t_o): mean seconds of a round's parts when `accepted` tokens are accepted."""
    draws = random.Random(0)
    drafter, target = decoder.drafter, session.target
    totals, rounds = [0.0, 0.0, 0.0], 0
    for request in requests:
        n = len(request.tokens)
        capacity = n + (ROUNDS // CONTEXTS + 1) * (decoder.method.max_nodes + 2) + 2
        cache = KVCache(1, capacity)
        drafter.start(1, capacity)
        tokens = torch.tensor([request.tokens])
        step = target.forward(tokens, torch.arange(n)[None], None, cache, features=True)
        cache.commit_all()
        root = int(step.logits[0, -1].argmax())
        drafter.prefill(0, request.tokens, root, step.features, request.key)
        for number in range(ROUNDS // CONTEXTS):
            marks = [time.perf_counter()]
            draft = decoder.method.draft(drafter, 1, 1000, [])
            marks.append(time.perf_counter())
            nodes = torch.cat((torch.tensor([[root]]), draft.tokens), dim=1)
            positions = torch.tensor(cache.lengths)[:, None] + draft.depths
            mask = attention_mask(cache.lengths, draft.visible)
            step = target.forward(nodes, positions, mask, cache, features=True)
            marks.append(time.perf_counter())
            accept_greedy(draft, step.logits)
            marks.append(time.perf_counter())
            path = forced_path(draft, draws.choice(accepted))
            said = [int(draft.tokens[0, node - 1]) for node in path[1:]]
            root = int(step.logits[0, path[-1]].argmax())
            marks.append(time.perf_counter())
            cache.commit([path])
            drafter.commit([path], [[*said, root]], step.features)
            marks.append(time.perf_counter())
            if number >= 4:
                drafted, verified, judged, _, committed = (
                    after - before for before, after in zip(marks, marks[1:], strict=False)
                )
                for index, seconds in enumerate((drafted, verified, judged + committed)):
                    totals[index] += seconds
                rounds += 1
    return totals[0] / rounds, totals[1] / rounds, totals[2] / rounds


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
    generate(arms, requests[:1])
    seen = generate(arms, requests)
    spots = requests[:: max(1, len(requests) // CONTEXTS)][:CONTEXTS]
    plain_s = step_s(session, spots)
    baseline_tok_s = seen[BASELINE].tokens / seen[BASELINE].decode_s
    rows, costs = [], {}
    for name in track(METHODS, "costs"):
        accepted = seen[name].accepted
        assert accepted
        tau = 1 + sum(accepted) / len(accepted)
        draft_s, verify_s, other_s = round_costs(arms[name], session, spots, accepted)
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
    bound = oracle_bound(seen[LONGEST].accepted or [], by_length.__getitem__, plain_s)
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
