"""Every way to draft, on the same prompts in the same run, beside every fixed draft length.

    python experiments/methods/measure.py [PROMPTS] [GEN_LEN]

For each prompt the baseline and all methods run back to back; which one begins moves on with
every prompt. Writes `rows.csv`, `table.md` and `speedup.png` beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.progress import track

from eagle_bench.config.run import RunConfig
from eagle_bench.data.loader import load_prompts
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Loader
from eagle_bench.figures.statistics import Sampling, cluster_interval
from eagle_bench.launch import registry as schema
from eagle_bench.records.generation import BASELINE
from eagle_bench.results.charts.style import COLOURS, canvas

HERE = Path(__file__).parent
METHODS = {
    **{f"chain K={k}": ["decoding=chain", f"decoding.draft_len={k}"] for k in range(1, 11)},
    "adaptive ema": ["decoding=adaptive", "decoding.rule=ema"],
    "adaptive confidence": ["decoding=adaptive", "decoding.rule=confidence"],
    "adaptive throughput": [
        *("decoding=adaptive", "decoding.rule=throughput", "decoding.max_draft_len=10"),
    ],
    "static tree": ["decoding=static_tree"],
    **{
        f"tree {depth}x{top_k}, {nodes} nodes": [
            *("decoding=tree", f"decoding.depth={depth}", f"decoding.top_k={top_k}"),
            f"decoding.num_draft_tokens={nodes}",
        ]
        for depth, top_k, nodes in ((4, 2, 8), (5, 4, 16), (6, 6, 24), (7, 8, 48), (8, 10, 60))
    },
}


def composed(*overrides: str) -> RunConfig:
    """The typed settings of a run with `overrides`."""
    with initialize_config_dir(schema.CONF, version_base="1.3"):
        config = OmegaConf.to_object(compose("config", ["tracker=none", "threads=1", *overrides]))
    assert isinstance(config, RunConfig)
    return config


def measure(count: int, gen_len: int) -> pd.DataFrame:
    """One row per prompt and method: seconds, tokens, calls, accepted tokens, same output."""
    schema.register()
    config = composed()
    session = Loader().session(config)
    target, drafter = session.target, session.drafter.drafter
    arms = {BASELINE: build_baseline(config, target)} | {
        name: build_speculative(composed(*overrides), target, drafter)
        for name, overrides in METHODS.items()
    }
    prompts = load_prompts(config.dataset, count, 0).prompts
    requests = [Conversation(session, each).request(gen_len) for each in prompts]
    for arm in arms.values():
        list(arm.generate(requests[:1], 1))
    names, rows = list(arms), []
    for index, (prompt, request) in enumerate(zip(track(prompts), requests, strict=True)):
        said: dict[str, list[int]] = {}
        for place in range(len(names)):
            name = names[(index + place) % len(names)]
            [generation] = arms[name].generate([request], 1)
            said[name] = generation.tokens
            rows.append({
                "prompt_id": prompt.id,
                "category": prompt.category,
                "method": name,
                "wall_s": generation.wall_s,
                "tokens": len(generation.tokens),
                "calls": generation.target_calls,
                "rounds": len(generation.rounds),
                "accepted": sum(each.accepted for each in generation.rounds),
            })  # fmt: skip
        assert all(tokens == said[BASELINE] for tokens in said.values()), prompt.id
    return pd.DataFrame(rows)


def quotient(wall_s: pd.DataFrame, over: str, under: str) -> tuple[float, float, float]:
    """Seconds of `over` by seconds of `under`, with the 95% interval over prompts."""
    sums = wall_s[[over, under]].to_numpy(float)
    interval = cluster_interval(sums, lambda s: s[..., 0] / s[..., 1], Sampling(0, 4000, 0.95))
    assert interval is not None
    return float(np.divide(*sums.sum(0))), interval.low, interval.high


def tabulate(rows: pd.DataFrame) -> pd.DataFrame:
    """Figures of each method, with its speed over the adaptive rule's."""
    wall_s = rows.pivot(index="prompt_id", columns="method", values="wall_s")
    sums = rows.groupby("method")[["tokens", "calls", "rounds", "accepted"]].sum()
    lines = []
    for name in METHODS:
        point, low, high = quotient(wall_s, BASELINE, name)
        line = {
            "method": name,
            "calls/token": sums.calls[name] / sums.tokens[name],
            "tau": 1 + sums.accepted[name] / sums.rounds[name],
            "speedup": point,
            "low": low,
            "high": high,
        }
        if name != "adaptive throughput":
            ours = quotient(wall_s, name, "adaptive throughput")
            line |= dict(zip(("ours", "ours_low", "ours_high"), ours, strict=True))
        lines.append(line)
    return pd.DataFrame(lines).set_index("method")


def as_markdown(table: pd.DataFrame) -> str:
    """The table for a README."""
    lines = [
        "| method | calls/token | tau | speedup | adaptive throughput against it |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in table.iterrows():
        speedup = f"{row.speedup:.2f}x [{row.low:.2f}, {row.high:.2f}]"
        ours = (
            ""
            if pd.isna(row.ours)
            else f"{row.ours:.3f}x [{row.ours_low:.3f}, {row.ours_high:.3f}]"
        )
        lines.append(f"| {name} | {row['calls/token']:.3f} | {row.tau:.2f} | {speedup} | {ours} |")
    return "\n".join(lines) + "\n"


def draw(table: pd.DataFrame, path: Path) -> None:
    """Speedup by target calls per token: fewer calls are not always less time."""
    with canvas(path, 8.5, 5.2) as (_, axes):
        for colour, kind in zip(COLOURS, ("chain", "adaptive", "static", "tree"), strict=False):
            part = table[[str(name).startswith(kind) for name in table.index]]
            errors = [part.speedup - part.low, part.high - part.speedup]
            axes.errorbar(
                part["calls/token"], part.speedup, errors, fmt="o", color=colour, alpha=0.85
            )
            for number, (name, row) in enumerate(part.iterrows()):
                label = str(name).removeprefix(f"{kind} ")
                axes.annotate(
                    label,
                    (row["calls/token"], row.speedup),
                    xytext=(5, -10 if number % 2 else 4),
                    textcoords="offset points",
                    fontsize=8,
                    color=colour,
                )
        axes.set_title("Speedup by target calls per token")
        axes.set_xlabel("Target calls per token")
        axes.set_ylabel("Speedup over the baseline")


def main(count: int = 80, gen_len: int = 128) -> None:
    """Measure `count` prompts of `gen_len` tokens at most and write the files."""
    rows = measure(count, gen_len)
    rows.round(6).to_csv(HERE / "rows.csv", index=False)
    table = tabulate(rows)
    (HERE / "table.md").write_text(as_markdown(table))
    draw(table, HERE / "speedup.png")
    print(as_markdown(table))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
