"""A batch that does not fit into memory: that job fails and says so, the sweep goes on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from eagle_bench import assets

LIMITED = """
import resource, sys
import torch, transformers, pandas, matplotlib.pyplot, pyarrow.parquet
import eagle_bench.measure.job, eagle_bench.results.show
from eagle_bench.run import main

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
room = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
main()
"""
ROOM_BYTES = 3_000_000_000


@pytest.fixture
def wide_cache(tmp_path: Path) -> Path:
    """A small target whose cache takes 1.8 MB a token."""
    config = LlamaConfig(
        vocab_size=768,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=7,
        num_attention_heads=16,
        num_key_value_heads=16,
        head_dim=2048,
        max_position_embeddings=512,
    )
    folder = tmp_path / "target"
    LlamaForCausalLM(config).save_pretrained(folder)
    for file in assets.TARGET.glob("*token*.json"):
        shutil.copy(file, folder)
    shutil.copy(assets.TARGET / "chat_template.jinja", folder)
    return folder


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_a_batch_beyond_memory_is_a_recorded_failure(wide_cache: Path, tmp_path: Path) -> None:
    settings = [
        *("model=local", f"model.path={wide_cache}", "drafter=prompt_lookup"),
        *("tracker=none", "threads=1", "num_samples=16", "gen_len=2", "stop=length"),
        *("measure.warmup_max=1", f"output_dir={tmp_path}", "batch_size=16,1"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ROOM_BYTES), "-m", *settings],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    [sweep] = (tmp_path / "sweeps").iterdir()
    frame = pd.read_csv(sweep / "sweep.csv").set_index("batch_size")
    assert frame.status.to_dict() == {1: "complete", 16: "failed"}, list(frame.reason)
    assert "out of memory with batch_size=16" in frame.reason[16]
