"""How often the pre-flight accuses a head that is read rightly, on prompts unlike its training.

    python experiments/preflight/measure.py PROMPTS.jsonl [SETS]

Asks the embedded head about sets of eight prompts of the file, as the folder has it and with three
faults planted, and counts the verdicts.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable

import torch

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType
from eagle_bench.data.chat import chat_format, opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.drafters.build import load_eagle_head
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.measure.probe.ask import PROMPTS
from eagle_bench.measure.probe.preflight import preflight
from eagle_bench.models.load import load_target

ROOM = 160
"""Tokens of a prompt at most: the embedded target was made for short ones."""


TARGET = load_target(ModelConfig("embedded"), DType.float32, torch.device("cpu"))


def embedded(norm_output: bool | None = None) -> EagleHead:
    return load_eagle_head(Eagle3Config("embedded", norm_output=norm_output), TARGET).head


def without_map() -> EagleHead:
    """Its draft ids are taken for the target's."""
    head = embedded()
    head.d2t = torch.zeros(head.config.draft_vocab_size, dtype=torch.int64)
    return head


def untrained() -> EagleHead:
    head = embedded()
    torch.manual_seed(0)
    for weight in head.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return head


PLANTED: dict[str, Callable[[], EagleHead]] = {
    "none": embedded,
    "vocabulary map dropped": without_map,
    "norm_output flipped": lambda: embedded(norm_output=True),
    "untrained": untrained,
}


def main() -> None:
    path, most = sys.argv[1], int((*sys.argv, "1000")[2])
    chat = chat_format(TARGET.tokenizer, "auto", None)
    loaded = load_prompts(DatasetConfig("jsonl", path=path, shuffle=True), 100_000, 0).prompts
    texts = [chat.encode(opening(prompt)) for prompt in loaded]
    short = [text for text in texts if len(text) <= ROOM]
    sets = [short[i : i + PROMPTS] for i in range(0, len(short) - PROMPTS + 1, PROMPTS)][:most]
    print(f"{len(loaded)} prompts, {len(short)} of {ROOM} tokens at most, {len(sets)} sets")
    for name, plant in PLANTED.items():
        counted: Counter[str] = Counter()
        accuracies = []
        head = plant()
        for each in sets:
            found = preflight(head, TARGET, each)
            counted[found.verdict] += 1
            accuracies.append(found.accuracy)
        mean = sum(accuracies) / len(sets)
        print(f"{name}: {dict(counted)}, accuracy {mean:.3f}", flush=True)


main()
