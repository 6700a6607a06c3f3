"""llama.cpp's server as a script in a process of its own, for it ends the process on a fault.

`llama_server.py SETTINGS`: the files, port and sizes that `engines.build` gives, as one JSON
object.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import xllamacpp as llama

FLOAT32 = llama.ggml_type.GGML_TYPE_F32


def parameters(serving: dict[str, Any]) -> Any:
    """Float32 throughout, one slot, no cache of prompts, drafts of one length."""
    found = llama.CommonParams()
    found.model.path = serving["target"]
    found.hostnames, found.port = ["127.0.0.1"], serving["port"]
    found.n_ctx = found.n_batch = serving["context"]
    found.n_parallel = 1
    found.cpuparams.n_threads = found.cpuparams_batch.n_threads = serving["threads"]
    found.endpoint_metrics = True
    found.warmup = found.cache_prompt = False
    found.cache_ram_mib = 0
    found.cache_type_k = found.cache_type_v = FLOAT32
    found.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if serving["head"] is not None:
        kinds = llama.common_speculative_type
        found.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_DRAFT_EAGLE3]
        draft = found.speculative.draft
        draft.mparams.path = serving["head"]
        draft.n_max, draft.n_min, draft.p_min = serving["draft_len"], 0, 0.0
        draft.cache_type_k = draft.cache_type_v = FLOAT32
        draft.backend_sampling = False
    return found


if __name__ == "__main__":
    server = llama.Server(parameters(json.loads(sys.argv[1])))
    signal.pause()
