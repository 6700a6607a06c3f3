"""Every form in which the field writes prompts becomes the same `Prompt`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.data.fields import PLACEHOLDER, Skip, read_prompt
from eagle_bench.errors import UserError

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2"},
]
SHAREGPT_TALK = [
    {"from": "gpt", "value": "tail of an earlier part"},
    {"from": "human", "value": "One?"},
    {"from": "gpt", "value": "1"},
    {"from": "human", "value": "Two?"},
    {"from": "gpt", "value": "2"},
]


@pytest.mark.parametrize(
    ("row", "turns", "reference", "system"),
    [
        ({"turns": ["One?", "Two?"], "reference": ["1", "2"]}, ("One?", "Two?"), ("1", "2"), None),
        ({"turns": ["One?"], "reference": [["1", "uno"]]}, ("One?",), ("1\nuno",), None),
        ({"turns": ["One?"], "reference": []}, ("One?",), (), None),
        ({"prompt": "One?", "canonical_solution": "1"}, ("One?",), ("1",), None),
        ({"prompt": ["One?", "Two?"]}, ("One?", "Two?"), (), None),
        ({"prompt": TALK[:2], "completion": "1"}, ("One?",), ("1",), "Be brief."),
        ({"messages": TALK}, ("One?", "Two?"), ("1", "2"), "Be brief."),
        ({"messages": TALK[:4]}, ("One?", "Two?"), ("1", ""), "Be brief."),
        ({"messages": TALK, "prompt": "One?"}, ("One?", "Two?"), ("1", "2"), "Be brief."),
        ({"conversations": TALK[1:]}, ("One?", "Two?"), ("1", "2"), None),
        ({"conversations": SHAREGPT_TALK}, ("One?", "Two?"), ("1", "2"), None),
        ({"conversations": TALK[1:3], "system": "Be kind."}, ("One?",), ("1",), "Be kind."),
        ({"text": "One?"}, ("One?",), (), None),
        ({"question": "One?", "answer": "1"}, ("One?",), ("1",), None),
        ({"question": "One?", "answer": 1}, ("One?",), ("1",), None),
        ({"problem": "One?", "solution": "so 1", "answer": "1"}, ("One?",), ("so 1",), None),
        ({"article": "News.", "highlights": "N"}, ("Summarize: News.",), ("N",), None),
        (
            {"instruction": "Add.", "input": "1 1", "output": "2", "text": "Add.\n2"},
            ("Add.\n\n1 1",),
            ("2",),
            None,
        ),
        ({"instruction": "Add.", "input": "", "output": "2"}, ("Add.",), ("2",), None),
        ({"instruction": "Add.", "input": None}, ("Add.",), (), None),
        ({"turns": None, "prompt": "One?"}, ("One?",), (), None),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "One?"}]}]},
            ("One?",),
            (),
            None,
        ),
        (
            {"messages": [{"role": "user", "content": None, "from": None, "value": "One?"}]},
            ("One?",),
            (),
            None,
        ),
    ],
)
def test_every_form(
    row: dict[str, Any], turns: tuple[str, ...], reference: tuple[str, ...], system: str | None
) -> None:
    prompt = read_prompt(row, 1, "set")
    assert (prompt.turns, prompt.reference, prompt.system) == (turns, reference, system)


@pytest.mark.parametrize(
    ("row", "id", "category"),
    [
        ({"question_id": 81, "id": "x", "category": "writing"}, "81", "writing"),
        ({"id": 0}, "0", "set"),
        ({"task_id": "HumanEval/0"}, "HumanEval/0", "set"),
        ({"unique_id": "test/a.json", "subject": "Algebra"}, "test/a.json", "Algebra"),
        ({"question_id": None, "id": "x"}, "x", "set"),
        ({}, "7", "set"),
    ],
)
def test_id_and_category(row: dict[str, Any], id: str, category: str) -> None:
    prompt = read_prompt({"prompt": "One?", **row}, 7, "set")
    assert (prompt.id, prompt.category) == (id, category)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"turns": [f"{PLACEHOLDER} FROM THE SOURCE USING SPECDEC_BENCH"]}, "placeholder"),
        ({"messages": [{"role": "User", "content": PLACEHOLDER}]}, "placeholder"),
        (
            {"messages": [*TALK, {"role": "tool", "content": "20 C"}]},
            "a message of the role 'tool'",
        ),
        ({"conversations": []}, "no user message"),
        ({"conversations": [{"from": "gpt", "value": "Hi"}]}, "no user message"),
        ({"conversations": [{"from": "human", "value": " "}]}, "no user message"),
    ],
)
def test_skipped_rows_tell_the_reason(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(Skip, match=f"^{reason}$"):
        read_prompt(row, 1, "set")


def test_a_prompt_that_only_mentions_the_placeholder_is_kept() -> None:
    assert read_prompt({"prompt": f"What does '{PLACEHOLDER}' mean?"}, 1, "set").turns


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"foo": 1, "bar": 2}, "no prompt field among the keys foo, bar; one of turns, messages"),
        ({}, r"no prompt field among the keys \(none\)"),
        ({"prompt": None}, "no prompt field among the keys prompt"),
        ({"prompt": ""}, "the prompt is empty: `prompt` holds a blank text"),
        ({"prompt": " \n"}, "the prompt is empty"),
        ({"turns": []}, "the prompt is empty: `turns` holds no user message"),
        ({"turns": ["One?", ""]}, "the prompt is empty"),
        ({"messages": TALK[:1]}, "the prompt is empty: `messages` holds no user message"),
        ({"messages": [{"role": "user", "content": ""}]}, "the prompt is empty"),
        ({"instruction": "", "input": ""}, "the prompt is empty"),
        ({"article": " "}, "the prompt is empty"),
        ({"turns": 5}, "`turns` must be a text, a list of texts or a list of messages, not int"),
        ({"turns": {"a": 1}}, "`turns` must be .* not dict"),
        ({"turns": [5]}, "`turns` holds int where a text belongs"),
        ({"messages": [{"content": "x"}]}, "needs one of the roles user, .* not None"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, r"not \['user'\]"),
        ({"prompt": "a\ud83d"}, "half a surrogate pair"),
        ({"prompt": "a", "answer": "\udc00"}, "half a surrogate pair"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "url": "x"}]}]},
            "`messages` holds list where a text belongs",
        ),
    ],
)
def test_bad_rows(row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_prompt(row, 1, "set")


TEXT = st.text(min_size=1).filter(lambda text: text.strip() and not text.startswith(PLACEHOLDER))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1), st.none() | TEXT)
def test_all_message_spellings_agree(pairs: list[tuple[str, str]], system: str | None) -> None:
    head = [] if system is None else [("system", system)]
    talk = [*head, *(item for q, a in pairs for item in (("user", q), ("assistant", a)))]
    sharegpt = {"user": "human", "assistant": "gpt", "system": "system"}
    spelled = [
        {"messages": [{"role": role, "content": text} for role, text in talk]},
        {"conversations": [{"from": sharegpt[role], "value": text} for role, text in talk]},
        {"turns": [q for q, _ in pairs], "reference": [a for _, a in pairs], "system": system},
    ]
    read = [read_prompt(row, 1, "set") for row in spelled]
    assert read[0] == read[1] == read[2]
    assert read[0].turns == tuple(q for q, _ in pairs)
    assert read[0].reference == tuple(a for _, a in pairs)
    assert read[0].system == system
