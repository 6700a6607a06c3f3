"""Files and hub datasets as prompt sets: what is read, chosen, and refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eagle_bench import assets
from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.data.fields import PLACEHOLDER
from eagle_bench.data.loader import load_prompts
from eagle_bench.data.prompt import Prompt, PromptSet
from eagle_bench.errors import UserError

SPEC_BENCH = Path(__file__).parents[3] / "shared" / "data" / "spec_bench" / "question.jsonl"
ROWS = [
    {
        "question_id": i,
        "category": "ab"[i % 2],
        "turns": [f"q{i}", f"again {i}"],
        "reference": ["x"],
    }
    for i in range(6)
]


def config(path: Path | None = None, **settings: Any) -> DatasetConfig:
    return DatasetConfig(name="jsonl", path=None if path is None else str(path), **settings)


def jsonl(folder: Path, rows: list[Any]) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def ids(prompts: PromptSet) -> list[str]:
    return [prompt.id for prompt in prompts.prompts]


def test_jsonl_array_and_parquet_give_the_same_prompts(tmp_path: Path) -> None:
    array, parquet = tmp_path / "prompts.json", tmp_path / "prompts.parquet"
    array.write_text(json.dumps(ROWS, indent=1), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(ROWS), parquet)
    paths = [jsonl(tmp_path, ROWS), array, parquet]
    sets = [load_prompts(config(path, multi_turn=True), 99, 0) for path in paths]
    expected = tuple(Prompt(str(i), "ab"[i % 2], (f"q{i}", f"again {i}"), ("x",)) for i in range(6))
    assert [found.prompts for found in sets] == [expected] * 3
    assert [found.sha256 for found in sets] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    ]


TEXT = st.text(min_size=1).filter(lambda text: text.strip() and not text.startswith(PLACEHOLDER))
PROMPTS = st.lists(
    st.builds(
        Prompt,
        id=TEXT,
        category=TEXT,
        turns=st.lists(TEXT, min_size=1, max_size=3).map(tuple),
        reference=st.lists(TEXT, max_size=3).map(tuple),
        system=st.none() | TEXT,
    ),
    min_size=1,
    unique_by=lambda prompt: prompt.id,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PROMPTS, st.booleans())
def test_round_trip_through_jsonl(tmp_path: Path, prompts: list[Prompt], escape: bool) -> None:
    path = tmp_path / "prompts.jsonl"
    lines = [json.dumps(vars(prompt), ensure_ascii=escape) for prompt in prompts]
    path.write_bytes("\n".join(lines).encode())
    found = load_prompts(config(path, multi_turn=True), len(prompts), 0)
    assert found.prompts == tuple(prompts)


def test_ids_fall_back_to_the_line_and_repeats_become_unique(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"text": "a"}\n\n{"text": "b"}\n{"id": "k", "text": "c"}\n')
    assert ids(load_prompts(config(path), 9, 0)) == ["1", "3", "k"]
    path = jsonl(
        tmp_path, [{"id": "k", "text": "a"}, {"id": "m", "text": "b"}, {"id": "k", "text": "c"}]
    )
    assert ids(load_prompts(config(path), 9, 0)) == ["k", "m", "k#3"]
    path = jsonl(tmp_path, [{"id": name, "text": "a"} for name in ("a", "a", "a#2")])
    assert ids(load_prompts(config(path), 9, 0)) == ["a", "a#2", "a#2#3"]
    assert ids(load_prompts(config(path), 2, 0)) == ["a", "a#2"]


def test_first_turn_unless_multi_turn(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"turns": ["a", "b"], "reference": ["A", "B"]}])
    single = load_prompts(config(path), 1, 0).prompts[0]
    assert (single.turns, single.reference) == (("a",), ("A",))
    both = load_prompts(config(path, multi_turn=True), 1, 0).prompts[0]
    assert (both.turns, both.reference) == (("a", "b"), ("A", "B"))


def test_num_samples_and_categories_keep_the_order_of_the_file(tmp_path: Path) -> None:
    path = jsonl(tmp_path, ROWS)
    assert ids(load_prompts(config(path), 4, 1)) == ["0", "1", "2", "3"]
    assert ids(load_prompts(config(path, categories=["b"]), 2, 1)) == ["1", "3"]
    assert ids(load_prompts(config(path, categories=["b", "a"]), 99, 1)) == list("012345")


def test_shuffle_is_seeded_and_cuts_after_shuffling(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"id": i, "text": "x"} for i in range(50)])
    first = ids(load_prompts(config(path, shuffle=True), 50, 3))
    assert first == ids(load_prompts(config(path, shuffle=True), 50, 3))
    assert first != ids(load_prompts(config(path, shuffle=True), 50, 4))
    assert sorted(first, key=int) == [str(i) for i in range(50)] != first
    assert ids(load_prompts(config(path, shuffle=True), 5, 3)) == first[:5]


def test_placeholders_are_counted(tmp_path: Path) -> None:
    rows = [{"turns": [PLACEHOLDER]}, {"turns": ["a"]}, {"turns": ["b", PLACEHOLDER + " X"]}]
    found = load_prompts(config(jsonl(tmp_path, rows)), 9, 0)
    assert (ids(found), found.skipped) == (["2"], {"placeholder": 2})


def test_the_embedded_set_is_read_when_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "PROMPTS", jsonl(tmp_path, ROWS))
    found = load_prompts(DatasetConfig(name="embedded"), 2, 0)
    assert (found.name, ids(found)) == ("embedded", ["0", "1"])


def test_six_groups_ship_and_take_turns() -> None:
    found = load_prompts(DatasetConfig(name="six_groups"), 24, 0)
    groups = [prompt.category for prompt in found.prompts]
    assert len(set(groups[:6])) == 6
    assert groups == groups[:6] * 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"text": "a"}\n{"text": \n', r"prompts.jsonl, line 2: no valid JSON \(Expecting value"),
        ('{"text": "a"}\n\n\nhello\n', "prompts.jsonl, line 4: no valid JSON"),
        (
            '{"text": "a"}\n{"foo": 1}\n',
            "prompts.jsonl, line 2: no prompt field among the keys foo",
        ),
        ('{"text": "a"}\n{"text": ""}\n', "prompts.jsonl, line 2: the prompt is empty"),
        ('"a"\n', "prompts.jsonl, line 1: a JSON str where an object belongs"),
        ('[{"text": "a"},\n{"text": ]', "prompts.jsonl, line 2: no valid JSON"),
        ('[{"text": "a"}, 5]', "prompts.jsonl, row 2: a JSON int where an object belongs"),
        ("", "prompts.jsonl is empty.$"),
        ("\n \n", "prompts.jsonl is empty.$"),
        ("[]", "prompts.jsonl is empty.$"),
        (
            json.dumps({"turns": [PLACEHOLDER]}),
            r"prompts.jsonl is empty \(1 skipped: placeholder\).$",
        ),
        (b'{"text": "a"}\n{"text": "\xff"}\n', "prompts.jsonl, line 2: not UTF-8 text"),
        (b"PAR1 and then nothing", "prompts.jsonl is a damaged parquet file"),
    ],
)
def test_bad_files(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=sentence) as caught:
        load_prompts(config(path), 9, 0)
    assert "\n" not in str(caught.value)


LINES = '{"prompt": "One é?"}\n{"prompt": "Two?"}\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", LINES.replace("\n", "\r").encode()),
        ("p.jsonl", LINES.encode("utf-16")),
        ("p.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("p.json", b'{"data": [{"prompt": "One \xc3\xa9?"}, {"prompt": "Two?"}]}'),
        ("p.json", json.dumps({"rows": [json.loads(x) for x in LINES.split("\n")[:2]]}, indent=1)),
        ("p.csv", "id,prompt\n1,One é?\n2,Two?\n"),
        ("p.csv.gz", gzip.compress("prompt\r\nOne é?\r\nTwo?\r\n".encode(), mtime=0)),
        ("p.tsv", "prompt\tcategory\nOne é?\ta\nTwo?\tb\n"),
        ("p.csv", "id;prompt\n1;One é?\n;Two?\n"),
        ("p.txt", "One é?\n\nTwo?\n"),
        ("p.txt", LINES),
    ],
)
def test_every_shape_of_file(tmp_path: Path, name: str, content: str | bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = load_prompts(config(path), 9, 0)
    assert [prompt.turns for prompt in found.prompts] == [("One é?",), ("Two?",)]


def test_one_object_over_several_lines_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(ROWS[0], indent=2))
    assert ids(load_prompts(config(path), 9, 0)) == ["0"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("p.jsonl.gz", b"\x1f\x8b and nothing", "p.jsonl.gz is a damaged gzip file"),
        ("p.csv", b"prompt\nOne, two?\n", "p.csv, line 2: more cells than the first line"),
        ("p.csv", b'prompt\n"One"x\n', "p.csv, line 2: no valid table"),
        ("p.jsonl", b"prompt,id\nOne?,1\n", "line 1: no valid JSON .*tables are told by .csv"),
        ("p.jsonl", '{"prompt": "é"}'.encode("latin-1"), "line 1: not UTF-8 text; save the file"),
        ("p.jsonl", LINES.encode("utf-16-le"), "p.jsonl is UTF-16 without its byte-order mark"),
        ("p.jsonl", LINES.encode("utf-16-be"), "p.jsonl is UTF-16 without its byte-order mark"),
        ("p.xlsx", b"PK\x03\x04...", "is a ZIP archive .*save the sheet as CSV"),
        ("p.jsonl", b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"),
        ("p.jsonl", b"<!DOCTYPE html>\n<html>", "is a web page or XML; get the raw file"),
        ("p.jsonl.zst", b"\x28\xb5\x2f\xfd...", "is compressed by zstd; unpack it, or use gzip"),
    ],
)
def test_shapes_that_are_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        load_prompts(config(tmp_path / name), 9, 0)


def test_rows_with_tools_are_left_out_and_counted(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "Weather?"}, {"role": "tool", "content": "20 C"}]
    found = load_prompts(config(jsonl(tmp_path, [*ROWS, {"messages": talk}])), 9, 0)
    assert len(found.prompts) == len(ROWS)
    assert found.skipped == {"a message of the role 'tool'": 1}


def test_a_bad_line_behind_the_last_sample_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"text": "a", "category": "b"}\nnot json\n')
    assert ids(load_prompts(config(path), 1, 0)) == ["1"]
    for choice in ({"shuffle": True}, {"categories": ["b"]}):
        with pytest.raises(UserError, match="line 2"):
            load_prompts(config(path, **choice), 1, 0)


def test_bad_rows_are_left_out_and_counted_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    bad = ['{"text": "\\ud83d"}', "not json", "5", '{"foo": 1}', '{"text": ""}', '{"foo": 2}']
    path.write_text("\n".join(['{"text": "a"}', *bad, '{"text": "b"}']))
    found = load_prompts(config(path, skip_bad=True), 9, 0)
    assert [(prompt.id, prompt.where) for prompt in found.prompts] == [
        ("1", f"{path}, line 1"),
        ("8", f"{path}, line 8"),
    ]
    assert sum(found.skipped.values()) == len(bad)
    assert found.skipped["a bad row (a JSON int where an object belongs)"] == 1
    path.write_text("\n".join(bad))
    with pytest.raises(UserError, match=r"is empty \(1 skipped: a bad row \(half a surrogate"):
        load_prompts(config(path, skip_bad=True), 9, 0)


def test_line_separators_inside_a_text_do_not_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('\ufeff{"text": "a\u2028b"}\r\n{"text": "c"}\r\n', encoding="utf-8", newline="")
    found = load_prompts(config(path), 2, 0)
    assert [prompt.turns for prompt in found.prompts] == [("a\u2028b",), ("c",)]


def test_missing_file_folder_and_category(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no dataset file .*gone.jsonl"):
        load_prompts(config(tmp_path / "gone.jsonl"), 1, 0)
    with pytest.raises(UserError, match="is a folder; dataset.path must name a file"):
        load_prompts(config(tmp_path), 1, 0)
    path = jsonl(tmp_path, ROWS)
    with pytest.raises(UserError, match="no such category: c; this dataset has a, b"):
        load_prompts(config(path, categories=["a", "c"]), 1, 0)
    with pytest.raises(UserError, match="is an empty list"):
        load_prompts(config(path, categories=[]), 1, 0)
    with pytest.raises(UserError, match="dataset=jsonl needs dataset.path=FILE"):
        load_prompts(config(), 1, 0)


def test_an_unreadable_file(tmp_path: Path) -> None:
    path = jsonl(tmp_path, ROWS)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        load_prompts(config(path), 1, 0)


def test_spec_bench() -> None:
    if not SPEC_BENCH.exists():
        pytest.skip(f"{SPEC_BENCH} is not on this machine")
    found = load_prompts(
        DatasetConfig(name="spec_bench", path=str(SPEC_BENCH), multi_turn=True), 999, 0
    )
    assert len(found.prompts) == 480
    assert len({prompt.category for prompt in found.prompts}) == 13
    assert sum(len(prompt.turns) for prompt in found.prompts) == 560
    assert ids(found)[0] == "81"
    assert found.skipped == {}
    assert all(isinstance(text, str) for prompt in found.prompts for text in prompt.reference)
