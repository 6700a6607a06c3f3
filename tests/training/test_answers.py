"""A head learns from answers of its target: the command, the places that count, refusals."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import BUDGET, call, steps
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from eagle_bench import train
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.drafters.heads.load import load_head
from eagle_bench.drafters.heads.ttt import draftable, ttt_hidden, use_ttt_attention
from eagle_bench.errors import UserError
from eagle_bench.training.answers.batches import Reader, batches
from eagle_bench.training.answers.exchange import Exchange, read_exchanges
from eagle_bench.training.answers.head import answer_loss, draft_vocabulary, from_target

CPU = torch.device("cpu")
LAYERS = (2, 3, 4)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@pytest.fixture(scope="module")
def sure_target(target_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target of large random weights: it knows what it wants, and its answers vary."""
    folder = tmp_path_factory.mktemp("sure") / "target"
    shutil.copytree(target_folder, folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(2)
    for weight in model.parameters():
        if weight.ndim > 1:
            weight.data.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(sure_target: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(sure_target).requires_grad_(False)


@pytest.fixture(scope="module")
def answers(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Greedy answers to random prompts of 6 to 9 tokens."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for index in range(24):
        prompt = torch.randint(4, 300, (1, 6 + index % 4), generator=generator)
        said = model.generate(prompt, max_new_tokens=20 + index % 3, do_sample=False)
        rows.append(
            {"prompt_ids": prompt[0].tolist(), "answer": said[0, prompt.shape[1] :].tolist()}
        )
    return write(tmp_path_factory.mktemp("answers") / "answers.jsonl.gz", rows)


def command(target: Path, data: Path, folder: Path, *more: str) -> int:
    given = [f"training.target={target}", f"training.data={data}", f"output_dir={folder}"]
    head = ["training.draft_vocab_size=150", "training.ttt_length=3", "training.learning_rate=5e-3"]
    return call(
        train.main, "training=eagle3", *BUDGET, "training.snapshots=[0.4]", *head, *given, *more
    )


def test_a_head_learns_from_answers(sure_target: Path, answers: Path, tmp_path: Path) -> None:
    assert command(sure_target, answers, tmp_path, steps(25)) == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["loss"].tail(5).mean() < history["loss"].head(2).mean() - 1.0
    head = load_head(Eagle3Config("eagle3", str(tmp_path))).head
    vocabulary = draft_vocabulary(read_exchanges(answers), 150)
    assert torch.equal(draftable(head, CPU), vocabulary)
    assert (tmp_path / "step_10" / "config.json").is_file()
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    assert set(recipe["sources"]["data"]) == {"answers.jsonl.gz"}


def test_features_are_computed_once(model: Any, answers: Path, tmp_path: Path) -> None:
    made = batches(read_exchanges(answers), 128, 128, 0, CPU)
    first = Reader(model, LAYERS, tmp_path).read(0, made[0])
    again = Reader(None, LAYERS, tmp_path).read(0, made[0])
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.best, again.best)
    seen = model(made[0].ids, output_hidden_states=True)
    assert torch.equal(first.best, seen.logits[made[0].answers()].argmax(-1))
    upper = first.features[..., -seen.hidden_states[4].shape[-1] :]
    torch.testing.assert_close(upper.float(), seen.hidden_states[4].float(), rtol=1e-2, atol=1e-2)


def test_accuracy_counts_each_answer_token_that_a_draft_step_reaches(
    model: Any, answers: Path, tmp_path: Path
) -> None:
    """Rows side by side give what each row gives alone, token by token."""
    exchanges = read_exchanges(answers)[:5]
    head = from_target(model, draft_vocabulary(exchanges, 150), LAYERS)
    torch.manual_seed(1)
    head.layers[0].self_attn.o_proj.weight.data.normal_(std=0.1)
    use_ttt_attention(head)
    (batch,) = batches(exchanges, 10_000, 128, 0, CPU)
    thoughts = Reader(model, LAYERS, tmp_path).read(0, batch)
    output = model.lm_head.weight[draftable(head, CPU)]
    table = model.get_input_embeddings().weight
    embeds = F.pad(table[batch.ids], (0, 0, 0, 1))
    loss, figures = answer_loss(head, embeds, output, batch, thoughts, 3, 0.8)
    assert torch.isfinite(loss)
    hits: list[list[bool]] = [[], [], []]
    for each in exchanges:
        ids = torch.tensor([each.ids])
        seen = model(ids, output_hidden_states=True)
        best = seen.logits.argmax(-1)[0]
        features = torch.cat([seen.hidden_states[layer] for layer in LAYERS], -1)
        alone = F.pad(table[ids], (0, 0, 0, 1))
        for step, hidden in enumerate(ttt_hidden(head, alone, features, 3)):
            drawn = head.to_target(head.logits(hidden).argmax(-1))[0]
            for place in range(len(each.prompt_ids) + step, len(each.ids) - 1):
                hits[step].append(bool(drawn[place - 1 - step] == best[place]))
    for step, found in enumerate(hits):
        assert figures[f"accuracy_{step}"] == pytest.approx(sum(found) / len(found), abs=0.03)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"prompt_ids": [5, 6], "answer": [7, 301]}, "holds the token 301"),
        ({"prompt": "Hi", "answer": "Ho"}, "line 1: no prompt_ids and answer"),
        ({"prompt_ids": [5] * 90, "answer": [7] * 90}, "every exchange is longer than the 128"),
    ],
)
def test_answers_that_cannot_be_learnt_from(
    target_folder: Path,
    tmp_path: Path,
    row: dict[str, Any],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write(tmp_path / "bad.jsonl.gz", [row])
    assert command(target_folder, data, tmp_path / "out", steps(2)) == 2
    assert sentence in capsys.readouterr().err


def test_answers_are_read_from_gzip_and_xz(tmp_path: Path) -> None:
    rows = [Exchange([5, 6], [7]), Exchange([8], [9, 5])]
    write(tmp_path / "a.jsonl.gz", [vars(rows[0])])
    with lzma.open(tmp_path / "b.jsonl.xz", "wt") as file:
        file.write(json.dumps(vars(rows[1])) + "\n")
    assert read_exchanges(tmp_path) == rows
    (tmp_path / "b.jsonl.xz").write_bytes(b"broken")
    with pytest.raises(UserError, match="b.jsonl.xz, line 1"):
        read_exchanges(tmp_path)
    with pytest.raises(UserError, match="holds no answers; give a"):
        read_exchanges(tmp_path / "answers.txt")


def test_exchanges_of_like_length_lie_side_by_side() -> None:
    exchanges = [Exchange([1] * (2 + index), [2] * 6) for index in range(12)]
    made = batches(exchanges, 40, 15, 0, CPU)
    lengths = sorted(length for batch in made for length in batch.ends.tolist())
    assert lengths == list(range(8, 16))
    assert all(batch.ids.numel() <= 40 + batch.ids.shape[1] for batch in made)
    assert all(batch.ends.max() - batch.ends.min() < 5 for batch in made)
