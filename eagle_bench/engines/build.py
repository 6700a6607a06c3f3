"""From settings to the two arms of a run: our loop's, or an engine's."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.engine import LlamaCppConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import Proposal, Stop
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.drafters.heads import gguf as head_file
from eagle_bench.engines import llama_cpp
from eagle_bench.engines.served import ServedArm
from eagle_bench.engines.server import Server, free_port
from eagle_bench.engines.session import Session
from eagle_bench.errors import UserError
from eagle_bench.models import gguf_writer as target_file
from eagle_bench.records.generation import BASELINE, Arm

SCRIPT = Path(__file__).with_name("llama_server.py")
START_S = 120.0


def build_arms(config: RunConfig, session: Session) -> tuple[Arm, Arm]:
    """The baseline and the speculative arm, of one engine.

    Raises
    ------
    UserError
        The engine cannot run this pair.
    RunFailure
        Its server does not start.
    """
    match config.engine:
        case LlamaCppConfig():
            return _llama_cpp_arms(config, session)
    target = session.target
    return build_baseline(config, target), build_speculative(
        config, target, session.drafter.drafter
    )


def check_engine(config: RunConfig) -> None:
    """Refuse, before anything is loaded, what the engine cannot do.

    Raises
    ------
    UserError
    """
    if config.engine.inside:
        return
    engine = f"engine={config.engine.name}"
    measure = config.measure
    if not (find_spec("gguf") and find_spec("xllamacpp")):
        raise UserError(f"{engine} needs its package: pip install 'eagle_bench[llama-cpp]'.")
    refused = {
        "needs an EAGLE head: drafter=eagle3 or embedded": not config.drafter.is_head,
        "drafts chains: decoding=chain": not isinstance(config.decoding, ChainConfig)
        or config.decoding.proposal is not Proposal.greedy,
        "is compared greedily: temperature=0": config.temperature > 0,
        "takes one prompt at a time: batch_size=1": config.batch_size > 1,
        "forbids EOS instead of going on behind it: stop=eos": config.stop is not Stop.eos,
        "runs on the CPU here: device=cpu": config.device not in ("auto", "cpu"),
        "runs in another process, where no part of a round can be timed: leave out "
        "measure.phases, profile, costs and fp32_control": (
            measure.phases or measure.profile or measure.costs or measure.fp32_control
        ),
    }
    for why, there in refused.items():
        if there:
            raise UserError(f"{engine} {why}.")


def _llama_cpp_arms(config: RunConfig, session: Session) -> tuple[Arm, Arm]:
    """Both servers on the exported pair; the files are gone once they have read them."""
    target, head = session.target, session.drafter.head
    assert isinstance(target, target_file.Writable)
    assert isinstance(config.decoding, ChainConfig)
    assert head is not None
    if target.spec.dtype is not torch.float32:
        raise UserError("engine=llama_cpp is given the weights in float32: dtype=float32.")
    target_file.check_writable(target)
    head_file.check_writable(head.config)
    draft_len = config.decoding.draft_len
    with TemporaryDirectory(prefix="eagle_bench-gguf-") as folder:
        files = Path(folder) / "target.gguf", Path(folder) / "head.gguf"
        target_file.write_target(target, files[0])
        head_file.write_head(head, target, files[1])
        servers = []
        for name, head_path in ((BASELINE, None), (config.decoding.name, str(files[1]))):
            serving = {
                "target": str(files[0]),
                "head": head_path,
                "draft_len": draft_len,
                "port": (port := free_port()),
                "context": target.spec.max_positions,
                "threads": torch.get_num_threads(),
            }
            command = [sys.executable, str(SCRIPT), json.dumps(serving)]
            servers.append((name, Server(command, port)))
        for _, server in servers:
            server.wait("/health", START_S)
    (name, without), (method, drafting) = servers
    return ServedArm(name, without, llama_cpp, 0), ServedArm(method, drafting, llama_cpp, draft_len)
