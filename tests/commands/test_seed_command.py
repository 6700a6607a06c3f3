"""The seed's command line, translated as `docs/seed.md` says, on tiny checkpoints."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from eagle_bench import assets
from eagle_bench.drafters.heads.config import HeadConfig, MLAConfig
from eagle_bench.drafters.heads.export import save_head
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.run import main

HIDDEN, VOCAB, DRAFT = 64, 768, 256


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A random Qwen2.5-shaped target with a real tokenizer."""
    torch.manual_seed(0)
    folder = tmp_path / "Qwen2.5-tiny"
    config = Qwen2Config(
        vocab_size=VOCAB,
        hidden_size=HIDDEN,
        intermediate_size=96,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(assets.TARGET / name, folder)
    return folder


@pytest.fixture
def head(tmp_path: Path) -> tuple[Path, Path]:
    """A random MLA head as SpecForge leaves it: no embeddings, its map in another file."""
    torch.manual_seed(1)
    made = EagleHead(
        HeadConfig(
            hidden_size=HIDDEN,
            target_hidden_size=HIDDEN,
            num_heads=4,
            num_kv_heads=2,
            head_dim=16,
            intermediate_size=96,
            vocab_size=VOCAB,
            draft_vocab_size=DRAFT,
            mla=MLAConfig(latent_dim=24),
        )
    )
    made.set_vocabulary(torch.arange(0, VOCAB, 3))
    mapping = tmp_path / "vocab_mapping.pt"
    torch.save({"d2t": made.d2t, "t2d": made.t2d}, mapping)
    made.d2t, made.t2d = torch.zeros(DRAFT, dtype=torch.int64), torch.ones(VOCAB, dtype=torch.bool)
    folder = save_head(made, tmp_path / "checkpoints" / "epoch_1_step_12528", "specforge")
    (folder / "training_state.pt").write_bytes(b"never read")
    return folder, mapping


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    rows = [
        {"id": f"t{n}", "conversations": [{"from": "human", "value": f"Count to {n} for me."}]}
        for n in (3, 5)
    ]
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_seeds_example_translated(
    target: Path,
    head: tuple[Path, Path],
    prompts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, mapping = head
    out = tmp_path / "results"
    command = [
        "-m",
        *("model=local", f"model.path={target}"),
        *("drafter=eagle3", f"drafter.path={folder}", f"drafter.vocab_mapping={mapping}"),
        *(
            "drafter.attention=flex_attention_mla",
            "drafter.embedding_key=model.embed_tokens.weight",
        ),
        *("dataset=jsonl", f"dataset.path={prompts}", "chat_template=qwen"),
        *("decoding.draft_len=7", "num_samples=2", "gen_len=5,10,20", f"output_dir={out}"),
        *("tracker=none", "threads=1", "stop=length", "measure.warmup_max=1"),
    ]
    monkeypatch.setattr(sys, "argv", ["run", *command])
    main()
    [table] = out.rglob("sweep.csv")
    frame = pd.read_csv(table)
    assert list(frame.gen_len) == [5, 10, 20]
    assert set(frame.status) == {"complete"}
    result = json.loads(next(out.rglob("result.json")).read_text())
    report = result["provenance"]["drafter"]
    assert (report["format"], report["attention"]) == ("specforge", "MLA")
    assert report["cache_bytes_per_token"] == 24 * 4 + 4
    assert report["plain_cache_bytes_per_token"] == 2 * 2 * 16 * 4
    assert result["summary"]["lossless"]["exact_share"] == 1.0
    assert result["provenance"]["preflight"]["verdict"] == "chance"
