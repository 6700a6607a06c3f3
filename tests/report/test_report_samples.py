"""Outputs: which prompts are shown, and where each of their tokens came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from eagle_bench.records.rows import GenerationRow
from eagle_bench.results.report.pieces import split
from eagle_bench.results.report.samples import choose, origins
from tests.report.conftest import Element
from tests.results.conftest import Finish, Simulation


def row_of(simulation: Simulation) -> GenerationRow:
    return next(row for row in simulation.rows()[0] if row.arm == "chain")


@given(gen_len=st.integers(2, 90), accept=st.floats(0, 1), seed=st.integers(0, 50))
def test_origins_partition_the_output(gen_len: int, accept: float, seed: int) -> None:
    row = row_of(Simulation(prompts=1, gen_len=gen_len, accept=accept, seed=seed))
    parts = origins(row)
    assert [token for _, _, ids in parts for token in ids] == row.token_ids
    assert parts[0][0] == "first"
    assert len(parts[0][2]) == 1
    bonus = [ids for kind, _, ids in parts if kind == "bonus"]
    assert all(len(ids) == 1 for ids in bonus)
    assert row.rounds - len(bonus) in (0, 1)
    accepted = sum(len(ids) for kind, _, ids in parts if kind == "accepted")
    assert accepted + len(bonus) == row.accepted + row.rounds - row.overshoot


def test_origins_of_a_known_output() -> None:
    row = row_of(Simulation(prompts=1, gen_len=6))
    row.token_ids, row.accept_lengths, row.rounds = [9, 8, 7, 6, 5, 4], [2, 0, 3], 3
    row.new_tokens, row.overshoot = 6, 3
    assert [(kind, ids) for kind, _, ids in origins(row)] == [
        ("first", [9]),
        ("accepted", [8, 7]),
        ("bonus", [6]),
        ("bonus", [5]),
        ("accepted", [4]),
    ]


def test_choice_is_from_both_ends_without_repetition() -> None:
    rows = Simulation(prompts=5).rows()[0]
    for row in rows:
        number = int(row.prompt_id[1:])
        row.wall_s = 10.0 if row.arm == "baseline" else 10.0 / (number + 1)
    chosen = choose(rows, "chain", None, 2, {"p4": ["x" * 700]})
    assert [round(sample.speedup, 6) for sample in chosen.best] == [5.0, 4.0]
    assert [round(sample.speedup, 6) for sample in chosen.worst] == [1.0, 2.0]
    assert [sample.prompt for sample in chosen.best] == ["x" * 600 + " …", ""]
    one = choose([row for row in rows if row.prompt_id == "p3"], "chain", None, 2, {})
    assert ([s.title for s in one.best], one.worst) == (["Prompt p3"], ())


def test_ids_stand_in_for_text() -> None:
    assert split([[1, 2], [3]], None) == ["1 2 ", "3 "]


@given(st.text(max_size=30), st.lists(st.integers(0, 120), max_size=6))
def test_split_characters_are_neither_lost_nor_broken(text: str, cuts: list[int]) -> None:
    data = list(text.encode())
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    pieces = split(parts, lambda ids: bytes(ids).decode(errors="replace"))
    assert "".join(pieces) == text
    assert len(pieces) == len(parts)


def byte_tokenizer(folder: Path) -> None:
    """Ids 0..255 are the bytes, in the order of the byte-level alphabet."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: i for i, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))


def test_page_shows_text_of_the_runs_tokenizer(
    tmp_path: Path, finish: Finish, report: Callable[[Path], Element]
) -> None:
    byte_tokenizer(tmp_path / "model")
    simulation = Simulation(prompts=4)
    path = str(tmp_path / "model")
    finish(tmp_path / "text", simulation, model__path=path)
    finish(tmp_path / "ids", simulation, model__path=str(tmp_path / "gone"))
    text, ids = report(tmp_path / "text"), report(tmp_path / "ids")
    note = "outputs are shown as token ids"
    assert note not in text.text
    assert note in ids.text
    expected = row_of(simulation).token_ids
    shown = next(a for a in ids.all("article") if "Prompt p0" in a.text).all("div", "output")[0]
    assert [int(token) for token in shown.text.split()] == expected
    assert not any(part.text.replace(" ", "").isdigit() for part in text.all("div", "output"))
    assert text.all("span", "accepted")
