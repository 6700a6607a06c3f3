"""Our baseline beside transformers' own `generate`: same weights, same prompts, paired.

    python experiments/peers/measure.py [PROMPTS] [GEN_LEN]

Both are greedy with a KV cache and stop at EOS; they run back to back in alternating order
after one warm-up each. Writes `result.csv` beside this file and prints one line.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType, Proposal
from eagle_bench.data.chat import chat_format, opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.figures.statistics import Sampling as Resampling
from eagle_bench.figures.statistics import cluster_interval
from eagle_bench.models.load import load_target
from eagle_bench.models.sampling import Sampling
from eagle_bench.records.generation import Request

HERE = Path(__file__).parent


def main(count: int = 24, gen_len: int = 128) -> None:
    """Measure `count` prompts of `gen_len` tokens at most."""
    device = torch.device("cpu")
    model = ModelConfig(name="embedded")
    target = load_target(model, DType.float32, device)
    greedy = Sampling()
    nothing = Tree("baseline", 0, 1, 0, Proposing(Proposal.greedy, greedy))
    ours = Decoder(target, NoDrafter(), nothing, greedy)
    chat = chat_format(target.tokenizer, "auto", None)
    prompts = load_prompts(DatasetConfig(name="embedded"), count, 0).prompts
    requests = [Request(p.id, chat.encode(opening(p)), gen_len) for p in prompts]

    def run_ours(request: Request) -> list[int]:
        [generation] = ours.generate([request])
        return generation.tokens

    @torch.inference_mode()
    def run_transformers(request: Request) -> list[int]:
        ids = torch.tensor([request.tokens])
        output = target.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=gen_len, do_sample=False
        )
        return output[0, len(request.tokens) :].tolist()

    arms = {"ours": run_ours, "transformers": run_transformers}
    for arm in arms.values():
        arm(requests[0])
    rows = []
    for index, request in enumerate(requests):
        row: dict[str, object] = {"prompt_id": request.key}
        for name in list(arms) if index % 2 else list(arms)[::-1]:
            began_s = time.perf_counter()
            tokens = arms[name](request)
            row |= {f"{name}_s": time.perf_counter() - began_s, f"{name}_tokens": len(tokens)}
            row[f"{name}_ids"] = tokens
        row["equal"] = row.pop("ours_ids") == row.pop("transformers_ids")
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame.to_csv(HERE / "result.csv", index=False)
    table = frame[["ours_tokens", "ours_s", "transformers_tokens", "transformers_s"]].to_numpy(
        float
    )

    def ratio(sums: np.ndarray) -> np.ndarray:
        return (sums[..., 0] / sums[..., 1]) / (sums[..., 2] / sums[..., 3])

    pooled = float(ratio(table.sum(0)))
    interval = cluster_interval(table, ratio, Resampling(0, 2000, 0.95))
    print(
        f"ours {table[:, 0].sum() / table[:, 1].sum():.1f} tokens/s, transformers "
        f"{table[:, 2].sum() / table[:, 3].sum():.1f} tokens/s: {pooled:.2f}x "
        f"[{interval.low:.2f}, {interval.high:.2f}], equal tokens on "
        f"{int(frame['equal'].sum())} of {len(frame)} prompts"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
