"""Is the output the same? Each difference graded by the target, and a control in float32."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import DType
from eagle_bench.data.prompt import PromptSet
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Loader, Session
from eagle_bench.figures.lossless import LosslessReport, compare, grade_divergences
from eagle_bench.measure.benchmark import Benchmark
from eagle_bench.measure.teacher import divergence_gaps
from eagle_bench.records.rows import GenerationRow, RoundRow

CONTROL_PROMPTS = 16

TIE_GAPS = {torch.float32: 1e-3, torch.float16: 2**-5, torch.bfloat16: 2**-2}
"""Logits that rounding can close: two steps of the half types between 16 and 32, where the best
logits of a language model lie, and a generous bound on what summing in another order does in
float32."""


def graded(
    config: RunConfig, session: Session, prompts: PromptSet, rows: list[GenerationRow]
) -> LosslessReport:
    """The comparison of both arms' tokens, each difference graded by teacher forcing."""
    report = compare(rows)
    by_id = {prompt.id: prompt for prompt in prompts.prompts}
    spoken = {(row.prompt_id, row.turn, row.arm, row.repeat): row for row in rows}
    gaps = {}
    for pair in report.differing:
        said = [
            spoken[pair.prompt_id, turn, pair.arm, pair.repeat] for turn in range(pair.turn + 1)
        ]
        talk = Conversation(session, by_id[pair.prompt_id])
        for answer in said[:-1]:
            talk.generated(answer.token_ids)
        gaps[pair] = divergence_gaps(session.target, talk.context(), said[-1].token_ids)
    stated = config.measure.tie_gap
    tie_gap = TIE_GAPS[session.target.spec.dtype] if stated is None else stated
    return grade_divergences(report, gaps, tie_gap=tie_gap)


def fp32_control(config: RunConfig, prompts: PromptSet) -> dict[str, Any]:
    """Both arms once more in float32 on the first prompts, where every output must be equal.

    Target and drafter are loaded a second time, so there must be memory for both.

    Returns
    -------
    dict
        `pairs` compared, their `exact_share`, and the `differences` as in `lossless`.
    """
    config = replace(config, dtype=DType.float32, repeats=1)
    session = Loader().session(config)
    rows: list[GenerationRow] = []

    def keep(row: GenerationRow, rounds: list[RoundRow]) -> None:
        rows.append(row)

    benchmark = Benchmark(config, session, prompts.prompts[:CONTROL_PROMPTS])
    for block in benchmark.blocks():
        benchmark.run(block, keep)
    found = compare(rows).as_dict()
    return {name: found[name] for name in ("pairs", "exact_share", "differences")}
