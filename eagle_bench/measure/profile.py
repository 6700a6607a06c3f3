"""A trace of a few rounds of both arms, for Perfetto (ui.perfetto.dev) or chrome://tracing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from eagle_bench.config.run import RunConfig
from eagle_bench.data.prompt import Prompt
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Session

TOKENS = 24
TRACE_FILE = "trace.json"


def write_trace(config: RunConfig, session: Session, prompt: Prompt, folder: Path) -> Path:
    """Generate `TOKENS` tokens of `prompt` with each arm under torch's profiler."""
    arms = [
        build_baseline(config, session.target),
        build_speculative(config, session.target, session.drafter.drafter),
    ]
    request = replace(Conversation(session, prompt).request(config.gen_len), gen_len=TOKENS)
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        for arm in arms:
            with record_function(arm.name):
                list(arm.generate([request]))
    path = folder / TRACE_FILE
    profiler.export_chrome_trace(str(path))
    return path
