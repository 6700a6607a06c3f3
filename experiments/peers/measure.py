"""Ours beside transformers' own generation: same weights, same prompts, interleaved.

    python -m experiments.peers.measure [DTYPE] [PROMPTS] [GEN_LEN]

Greedy with a KV cache, until EOS. For each prompt all arms run back to back; which one begins moves
on with every prompt. Writes `DTYPE.csv` beside this file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.progress import track
from transformers import AutoModelForCausalLM

from eagle_bench import assets
from eagle_bench.data.loader import load_prompts
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Loader
from eagle_bench.launch import registry as schema
from eagle_bench.records.generation import Request
from experiments.methods.measure import composed, quotient

HERE = Path(__file__).parent
Arm = Callable[[Request], list[int]]
K = 4
LOOKUP, DRAFT_MODEL = "drafter=prompt_lookup", "drafter=draft_model"
OURS = {
    "lookup K=4": [LOOKUP],
    "draft model K=4": [DRAFT_MODEL],
    "chain K=4": [],
    "chain K=4, compile=draft": ["compile=draft"],
    "adaptive, compile=draft": ["decoding=adaptive", "compile=draft"],
    "tree 6x6/24": [
        *("decoding=tree", "decoding.depth=6", "decoding.top_k=6", "decoding.num_draft_tokens=24"),
    ],
}
GENERATE, THEIR_LOOKUP, ASSISTED = "generate", "prompt lookup K=4", "assisted K=4"
RATIOS = [
    ("baseline", GENERATE),
    ("chain K=4", GENERATE),
    ("chain K=4, compile=draft", GENERATE),
    ("adaptive, compile=draft", GENERATE),
    ("tree 6x6/24", GENERATE),
    ("lookup K=4", THEIR_LOOKUP),
    ("draft model K=4", ASSISTED),
    ("chain K=4", ASSISTED),
    (THEIR_LOOKUP, GENERATE),
    (ASSISTED, GENERATE),
]


def our_arms(dtype: str) -> tuple[dict[str, Arm], Any]:
    """Our loop by method, and a session that renders prompts."""
    loader = Loader()
    arms: dict[str, Arm] = {}
    for name, overrides in OURS.items():
        config = composed("threads=null", f"dtype={dtype}", *overrides)
        session = loader.session(config)
        if not arms:
            arms["baseline"] = _alone(build_baseline(config, session.target))
        decoder = build_speculative(config, session.target, session.drafter.drafter)
        arms[name] = _alone(decoder)
    return arms, session


def _alone(decoder: Any) -> Arm:
    def generate(request: Request) -> list[int]:
        [generation] = decoder.generate([request], 1)
        return list(generation.tokens)

    return generate


def their_arms(dtype: str) -> dict[str, Arm]:
    """transformers' generation: greedy, prompt lookup, assisted by the same draft model."""
    kind = getattr(torch, dtype)
    target, draft = (
        AutoModelForCausalLM.from_pretrained(path, dtype=kind).eval()
        for path in (assets.TARGET, assets.DRAFT_MODEL)
    )
    fixed = {"num_assistant_tokens": K, "num_assistant_tokens_schedule": "constant"}
    for key, value in {**fixed, "assistant_confidence_threshold": 0.0}.items():
        setattr(draft.generation_config, key, value)

    def arm(**options: Any) -> Arm:
        @torch.inference_mode()
        def generate(request: Request) -> list[int]:
            ids = torch.tensor([request.tokens])
            said = target.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=request.gen_len,
                do_sample=False,
                **options,
            )
            return list(said[0, len(request.tokens) :].tolist())

        return generate

    lookup = {"prompt_lookup_num_tokens": K, "max_matching_ngram_size": 3}
    return {GENERATE: arm(), THEIR_LOOKUP: arm(**lookup), ASSISTED: arm(assistant_model=draft)}


def measure(dtype: str, count: int, gen_len: int) -> pd.DataFrame:
    """One row per prompt and arm: seconds, tokens, whether the tokens are `generate`'s."""
    schema.register()
    ours, session = our_arms(dtype)
    arms = ours | their_arms(dtype)
    prompts = load_prompts(composed().dataset, count, 0).prompts
    requests = [Conversation(session, each).request(gen_len) for each in prompts]
    for arm in arms.values():
        for request in requests[:2]:
            arm(request)
    names, rows = list(arms), []
    for index, (prompt, request) in enumerate(zip(track(prompts), requests, strict=True)):
        said, wall_s = {}, {}
        for place in range(len(names)):
            name = names[(index + place) % len(names)]
            began_s = time.perf_counter()
            said[name] = arms[name](request)
            wall_s[name] = time.perf_counter() - began_s
        for name in names:
            equal = said[name] == said[GENERATE]
            rows.append([prompt.id, name, wall_s[name], len(said[name]), equal])
    return pd.DataFrame(rows, columns=["prompt_id", "arm", "wall_s", "tokens", "equal"])


def tabulate(rows: pd.DataFrame) -> str:
    """Each arm's tokens per second, then the ratios, for a README."""
    sums = rows.groupby("arm", sort=False)[["tokens", "wall_s", "equal"]].sum()
    prompts = rows["prompt_id"].nunique()
    lines = ["| arm | tokens/s | tokens equal to `generate` |", "|---|---:|---:|"]
    lines += [
        f"| {name} | {row.tokens / row.wall_s:.0f} | {row.equal:.0f} of {prompts} |"
        for name, row in sums.iterrows()
    ]
    lines += ["", "| ours | against | times as fast |", "|---|---|---:|"]
    rows = rows.assign(
        token_s=rows.wall_s / rows.tokens * rows.groupby("prompt_id").tokens.transform("mean")
    )
    token_s = rows.pivot(index="prompt_id", columns="arm", values="token_s")
    for ours, against in RATIOS:
        point, low, high = quotient(token_s, against, ours)
        lines.append(f"| {ours} | {against} | {point:.2f}x [{low:.2f}, {high:.2f}] |")
    return "\n".join(lines) + "\n"


def main(dtype: str = "float32", count: str = "24", gen_len: str = "128") -> None:
    """Measure, keep the rows, print the table."""
    rows = measure(dtype, int(count), int(gen_len))
    rows.to_csv(HERE / f"{dtype}.csv", index=False)
    print(tabulate(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
