"""`python -m eagle_bench.run` as a user starts it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra

from eagle_bench import assets
from eagle_bench.results.collect import load_results
from eagle_bench.run import main
from tests.commands.cli import call

QUICK = ("tracker=none", "num_samples=2", "gen_len=12", "stop=length", "threads=1")


def test_a_run_leaves_its_files_and_one_json_document(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "eagle_bench.run", *QUICK, "output=json"]
    done = subprocess.run(
        [*command, f"output_dir={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    summary = document["summary"]
    assert summary["arms"]["baseline"]["calls_per_token"] == 1.0
    assert summary["arms"]["chain"]["new_tokens"] == 24
    assert summary["lossless"] == summary["lossless"] | {"exact_share": 1.0, "pairs": 2}
    folder = Path(document["folder"])
    stored = json.loads((folder / "result.json").read_text())
    assert stored["status"] == "complete"
    assert stored["schema_version"] == 1
    rows = [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]
    assert {row["arm"] for row in rows} == {"baseline", "chain"}
    for row in rows:
        assert row["wall_s"] == pytest.approx(row["prefill_s"] + row["decode_s"])
        if row["arm"] == "chain":
            accepted = sum(length + 1 for length in row["accept_lengths"])
            assert row["new_tokens"] == 1 + accepted - row["overshoot"]
            assert row["target_calls"] == 1 + row["rounds"]
    assert len(pd.read_parquet(folder / "generations.parquet")) == len(rows) == 4
    assert len(pd.read_parquet(folder / "rounds.parquet")) == sum(
        row["target_calls"] - 1 for row in rows
    )
    assert (folder / "table.md").is_file()
    assert list(folder.glob("*.png"))


def test_a_multirun_prints_one_table_and_keeps_a_failed_job(tmp_path: Path) -> None:
    done = call(tmp_path, "-m", *QUICK[:2], *QUICK[3:], "gen_len=8,12,100000")
    assert done.returncode == 1
    assert "beyond the target's" in done.stderr
    [sweep] = (tmp_path / "sweeps").iterdir()
    frame = pd.read_csv(sweep / "sweep.csv")
    assert list(frame["gen_len"]) == [8, 12, 100000]
    assert list(frame["status"]) == ["complete", "complete", "failed"]
    assert "positions" in frame["reason"].iloc[2]
    assert (sweep / "speedup_by_gen_len.png").is_file()
    assert (sweep / "sweep.parquet").is_file()
    assert "100000" in (sweep / "report.html").read_text()
    assert load_results(sweep).generations["gen_len"].isin([8, 12]).all()


def test_two_pass_makes_two_calls_an_iteration_and_the_same_tokens(tmp_path: Path) -> None:
    done = call(tmp_path, *QUICK, "decoding=two_pass", "output=json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    assert document["summary"]["lossless"]["exact_share"] == 1.0
    rows = load_results(document["folder"]).generations
    slow = rows[rows["arm"] == "two_pass"]
    assert (slow["target_calls"] == 2 * slow["rounds"]).all()
    accepted = slow["accept_lengths"].map(lambda lengths: sum(length + 1 for length in lengths))
    assert (slow["new_tokens"] == 1 + accepted - slow["overshoot"]).all()


@pytest.mark.parametrize(
    ("overrides", "telling"),
    [
        (("gen_len=0",), "gen_len=0 must be at least 1"),
        (("gen_len=abc",), "gen_len"),
        (("decoding.typo=3",), "typo"),
        (("decoding=nonsense",), "chain"),
        (("temperature=-1",), "temperature=-1"),
        (("top_p=0",), "top_p=0"),
        (("dtype=float8",), "float8"),
        (("device=tpu",), "device=tpu"),
        (("device=cuda:x",), "device=cuda:x"),
        (("seed=-1",), "seed=-1"),
        (("seed=9223372036854775808",), "seed=9223372036854775808"),
        (("tracker.mode=onlin",), "tracker.mode=onlin"),
        (("tracker.name=wanbd",), "tracker=wanbd"),
        (("decoding.draft_len=4097",), "decoding.draft_len=4097 is more than the target's"),
        (("model=local",), "model.path"),
        (("model=local", "model.path=./nowhere"), "does not exist"),
        (("drafter=eagle3", "drafter.path=./nowhere"), "nowhere"),
        (("dataset=jsonl", "dataset.path=./nowhere.jsonl"), "nowhere.jsonl"),
        (("drafter=prompt_lookup", "decoding=tree"), "cannot branch"),
        (("decoding=tree", "decoding.num_draft_tokens=9999"), "candidates"),
        (("decoding=two_pass", "drafter=random"), "EAGLE head"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    overrides: tuple[str, ...],
    telling: str,
) -> None:
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", ["run", *QUICK, *overrides, f"output_dir={tmp_path}"])
    with pytest.raises(SystemExit) as end:
        main()
    told = capfd.readouterr().err
    assert end.value.code == 2, told
    assert "Traceback" not in told
    assert telling in told


@pytest.mark.parametrize("mode", [(), ("-m",)])
def test_an_empty_output_folder_is_refused_before_any_is_made(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], mode: tuple[str, ...]
) -> None:
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", ["run", *mode, *QUICK, "output_dir="])
    made: list[object] = []
    monkeypatch.setattr(Path, "mkdir", lambda self, *_, **__: made.append(self))
    with pytest.raises(SystemExit) as end:
        main()
    told = capfd.readouterr().err
    assert (end.value.code, made) == (2, [])
    assert told == "eagle_bench: output_dir is empty; name a folder, or leave it away.\n"


@pytest.mark.alone
def test_help_and_cfg_answer_at_once_and_import_no_torch() -> None:
    for flags in (["--help"], ["--cfg", "job", "--resolve"]):
        code = (
            "import sys; sys.argv = ['run', *sys.argv[1:]]\n"
            "from eagle_bench.run import main\n"
            "try: main()\n"
            "finally: assert 'torch' not in sys.modules, 'torch was imported'\n"
        )
        began_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code, *flags], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began_s < 10
        assert "gen_len" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["gen_len=0"], 2, "gen_len=0 must be at least 1."),
        (["gen_leng=3"], 2, "Did you mean gen_len?"),
        (["sweep=gen_len"], 2, "needs -m"),
        (["drafter.path=/nowhere"], 2, "/nowhere"),
    ],
)
def test_a_failure_too_is_one_json_document(
    tmp_path: Path, words: list[str], code: int, reason: str
) -> None:
    done = call(tmp_path, *words, "output=json", "tracker=none")
    document = json.loads(done.stdout)
    assert (document["status"], document["exit_code"], done.returncode) == ("failed", code, code)
    assert reason in document["reason"]


def test_the_log_holds_what_was_said_and_a_suspect_result_is_one_document(tmp_path: Path) -> None:
    done = call(tmp_path, *QUICK, "output=json", "num_samples=2", "stop=length", "strict=true")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "complete"
    [folder] = (tmp_path / "runs").iterdir()
    log = (folder / "log.txt").read_text()
    said = (
        "warming up ... ",
        "intervals and grading ... ",
        f"results: {folder}",
    )
    assert [line for line in said if line not in log] == []


def test_the_embedded_draft_model_drafts(tmp_path: Path) -> None:
    done = call(tmp_path, *QUICK, "drafter=draft_model", "decoding=tree", "output=json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["lossless"]["exact_share"] == 1.0
    assert summary["arms"]["tree"]["tau"] > 1.5


def short_draft_model(folder: Path, positions: int) -> Path:
    """The embedded draft model, made for so many positions only."""
    shutil.copytree(assets.DRAFT_MODEL, folder)
    settings = json.loads((folder / "config.json").read_text())
    settings["max_position_embeddings"] = positions
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def test_a_draft_model_too_short_for_the_prompt_is_refused(tmp_path: Path) -> None:
    folder = short_draft_model(tmp_path / "short", 40)
    done = call(tmp_path, *QUICK, "drafter=draft_model", f"drafter.path={folder}")
    assert done.returncode == 2
    assert "beyond the draft model's 40 positions" in done.stderr


def test_a_draft_model_with_another_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = short_draft_model(tmp_path / "other", 2048)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    one, two = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    done = call(tmp_path, *QUICK, "drafter=draft_model", f"drafter.path={folder}")
    assert done.returncode == 2
    assert "another tokenizer" in done.stderr


def test_prompts_beyond_the_positions_can_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    texts = ["Name a color.", "word " * 3000]
    file.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    given = (*QUICK, "dataset=jsonl", f"dataset.path={file}", "output=json")
    refused = call(tmp_path, *given)
    assert refused.returncode == 2
    assert "dataset.skip_long=true" in refused.stderr
    done = call(tmp_path, *given, "dataset.skip_long=true")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 prompts left out: longer than the positions" in done.stderr
    dataset = json.loads(done.stdout.splitlines()[-1])["provenance"]["dataset"]
    assert (dataset["prompts"], dataset["skipped"]) == (1, {"longer than the positions": 1})


def test_later_turns_beyond_the_positions_are_told_before_measuring(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    rows = [{"turns": ["Name a color."]}, {"id": "long", "turns": ["Hi.", "word " * 3000]}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = (*QUICK, "dataset=jsonl", f"dataset.path={file}", "dataset.multi_turn=true")
    done = call(tmp_path, *given)
    assert done.returncode == 2
    assert "prompt long (" in done.stderr
    assert [path.read_text() for path in tmp_path.rglob("generations.jsonl")] == [""]


def test_a_prompt_that_the_template_refuses_is_named_before_measuring(tmp_path: Path) -> None:
    file, template = tmp_path / "prompts.jsonl", tmp_path / "strict.jinja"
    rows = [{"prompt": "Name a color."}, {"id": "p41", "system": "Be brief.", "prompt": "Hi."}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    template.write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
        "{% endif %}{{ m.content }}{% endfor %}"
    )
    given = (*QUICK, "dataset=jsonl", f"dataset.path={file}", f"chat_template={template}")
    done = call(tmp_path, *given)
    assert done.returncode == 2
    assert "line 2): chat_template=" in done.stderr
    assert "system message" in done.stderr
