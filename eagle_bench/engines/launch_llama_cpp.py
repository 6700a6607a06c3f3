"""How llama.cpp's two servers are started, on the pair written as GGUF."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from eagle_bench.drafters.heads import gguf as head_file
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.engines.launch import Launch
from eagle_bench.engines.server import free_port
from eagle_bench.errors import UserError
from eagle_bench.models import gguf_writer as target_file

SCRIPT = Path(__file__).with_name("llama_server.py")
READY_S = 120.0


def check_installed() -> None:
    """Refuse where the packages are missing."""
    if not (find_spec("gguf") and find_spec("xllamacpp")):
        raise UserError("engine=llama_cpp needs its package: pip install 'eagle_bench[llama-cpp]'.")


def check_pair(target: target_file.Writable, head: EagleHead) -> None:
    """Refuse what llama.cpp does not run."""
    if target.spec.dtype is not torch.float32:
        raise UserError("engine=llama_cpp is given the weights in float32: dtype=float32.")
    target_file.check_writable(target)
    head_file.check_writable(head.config)


def launches(
    target: target_file.Writable, head: EagleHead, draft_len: int, context: int, folder: Path
) -> tuple[Launch, Launch]:
    """Both servers, their files in `folder`."""
    files = folder / "target.gguf", folder / "head.gguf"
    target_file.write_target(target, files[0])
    head_file.write_head(head, target, files[1])

    def launch(head_path: str | None) -> Launch:
        serving = {
            "target": str(files[0]),
            "head": head_path,
            "draft_len": draft_len,
            "port": (port := free_port()),
            "context": context,
            "threads": torch.get_num_threads(),
        }
        return Launch([sys.executable, str(SCRIPT), json.dumps(serving)], port)

    return launch(None), launch(str(files[1]))


def installed_version() -> str:
    """The package's, for the server itself tells none."""
    return f"xllamacpp {version('xllamacpp')}"
