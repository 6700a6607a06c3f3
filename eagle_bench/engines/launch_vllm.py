"""How vLLM's two servers are started (0.32.0), in an environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch

from eagle_bench.config.engine import VllmConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import dtype_name
from eagle_bench.drafters.heads.export import save_head
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.engines.launch import Launch
from eagle_bench.engines.server import free_port
from eagle_bench.errors import UserError
from eagle_bench.machine.checkpoints import on_disk
from eagle_bench.models.target import TargetSpec

MODULE = "vllm.entrypoints.openai.api_server"
SERVED = "target"
READY_S = 600.0


def interpreter(engine: VllmConfig) -> str:
    """The Python whose environment holds vLLM."""
    return sys.executable if engine.python is None else str(Path(engine.python).expanduser())


def check_installed(engine: VllmConfig) -> None:
    """Refuse where `engine.python` is none, or has no vLLM."""
    python = interpreter(engine)
    looking = [
        python,
        "-c",
        "import importlib.util as u; raise SystemExit(not u.find_spec('vllm'))",
    ]
    try:
        there = subprocess.run(looking, capture_output=True, check=False).returncode == 0
    except OSError as error:
        raise UserError(f"engine.python={python} cannot be run: {error.strerror}.") from error
    if not there:
        raise UserError(
            f"{python} has no vLLM: name the Python of an environment that has it with "
            "engine.python=DIR/bin/python (docs/engines.md says how to make one), or give running "
            "servers, engine.url=http://HOST:PORT (with drafts) and engine.baseline_url (without)."
        )


def check_pair(model: ModelConfig, head: EagleHead) -> None:
    """Refuse what vLLM is not given."""
    path = model.checkpoint()
    if path is not None and path.endswith(".gguf"):
        raise UserError("engine=vllm is given the target as an HF folder or hub id, not as GGUF.")
    if head.config.generation != 3 or head.config.mask_token is not None:
        raise UserError("engine=vllm is given EAGLE-3 heads alone.")


def launches(
    engine: VllmConfig,
    model: ModelConfig,
    spec: TargetSpec,
    head: EagleHead,
    draft_len: int,
    context: int,
    folder: Path,
) -> tuple[Launch, Launch]:
    """Both servers; the head's files are in `folder`, the target's where they were."""
    path = str(model.checkpoint())
    local = on_disk(path, model.revision)
    python = interpreter(engine)
    environment = {
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(folder / "cache"),
    }

    def launch(*more: str) -> Launch:
        command = [python, "-m", MODULE, "--model", path if local is None else str(local)]
        command += ["--served-model-name", SERVED, "--host", "127.0.0.1"]
        command += ["--port", str(port := free_port())]
        command += ["--dtype", dtype_name(spec.dtype), "--enforce-eager"]
        command += ["--max-num-seqs", "1", "--no-enable-prefix-caching"]
        command += ["--max-model-len", str(context), "--max-num-batched-tokens", str(context)]
        command += ["--enable-per-request-metrics", *more]
        if model.trust_remote_code:
            command += ["--trust-remote-code"]
        return Launch(command, port, environment)

    drafting = {
        "method": "eagle3",
        "model": str(save_head(head, folder / "head")),
        "num_speculative_tokens": draft_len,
    }
    return launch(), launch(
        "--speculative-config",
        json.dumps(drafting),
        "--per-request-spec-decode-metrics",
        "detailed",
    )
