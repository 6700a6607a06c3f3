"""Which fields of a row hold the prompt: one table for all the field's formats.

A field's value may be a text (one turn), a list of texts (turns), or a list of messages
(`role` + `content`, or `from` + `value`); the table says which fields are looked at, in
which order, and the readers below turn any of the three values into turns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eagle_bench.data.prompt import Prompt
from eagle_bench.errors import UserError


@dataclass(frozen=True)
class Form:
    """One way to write a prompt.

    `prefix` goes before the text, the text of the field `suffix` after it. `logged` marks
    recorded conversations, of which some hold no question: such rows are skipped, whereas
    an empty prompt in any other form is a mistake.
    """

    key: str
    prefix: str = ""
    suffix: str | None = None
    logged: bool = False


FORMS = (
    Form("turns"),
    Form("messages"),
    Form("conversations", logged=True),
    Form("conversation", logged=True),
    Form("instruction", suffix="input"),
    Form("prompt"),
    Form("question"),
    Form("problem"),
    Form("article", prefix="Summarize: "),
    Form("text"),
)
"""In order: `instruction` precedes `text` because Alpaca's `text` contains the answer too."""

ID_KEYS = ("question_id", "id", "task_id", "prompt_id", "unique_id")
CATEGORY_KEYS = ("category", "subject")
SYSTEM_KEYS = ("system", "system_prompt")
REFERENCE_KEYS = (
    "reference",
    "output",
    "response",
    "completion",
    "canonical_solution",
    "solution",
    "answer",
    "highlights",
)
ROLE_KEYS = ("role", "from")
CONTENT_KEYS = ("content", "value")
ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
}
PLACEHOLDER = "FULL BENCHMARK DATA SHOULD BE FETCHED"
"""How SPEED-Bench's turns begin where a licence forbids shipping the text itself."""
HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class Skip(Exception):
    """A row that is sound but holds no prompt; the argument is the reason to count."""


@dataclass
class _Conversation:
    turns: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)

    def add(self, role: str, text: str) -> None:
        if role == "user":
            self.turns.append(text)
            self.answers.append("")
        elif role == "system":
            self.system.append(text)
        elif self.turns:
            self.answers[-1] = f"{self.answers[-1]}\n{text}" if self.answers[-1] else text


def read_prompt(row: Mapping[str, Any], number: int, category: str) -> Prompt:
    """One row of any known form as a `Prompt`.

    Parameters
    ----------
    row : mapping
        Field names and values; a null is the same as an absent field.
    number : int
        The row's line or position, its id when the row has none.
    category : str
        The category when the row has none.

    Raises
    ------
    UserError
        No prompt field, an empty prompt, a value of the wrong kind, or half a surrogate pair.
    Skip
        A placeholder, a conversation with tools or others who are neither user, assistant nor
        system, or a recorded one in which the user says nothing.
    """
    present = {key: value for key, value in row.items() if value is not None}
    form = next((form for form in FORMS if form.key in present), None)
    if form is None:
        raise UserError(
            f"no prompt field among the keys {', '.join(map(str, row)) or '(none)'}; "
            f"one of {', '.join(form.key for form in FORMS)} is needed."
        )
    talk = _conversation(present, form)
    if form.logged and not all(turn.strip() for turn in talk.turns or [""]):
        raise Skip("no user message")
    if not talk.turns:
        raise UserError(f"the prompt is empty: `{form.key}` holds no user message.")
    if not all(turn.strip() for turn in talk.turns):
        raise UserError(f"the prompt is empty: `{form.key}` holds a blank text.")
    if any(turn.startswith(PLACEHOLDER) for turn in talk.turns):
        raise Skip("placeholder")
    system = talk.system or [str(present[key]) for key in SYSTEM_KEYS if key in present]
    prompt = Prompt(
        id=str(_first(present, ID_KEYS, number)),
        category=str(_first(present, CATEGORY_KEYS, category)),
        turns=tuple(talk.turns),
        reference=tuple(talk.answers) if any(talk.answers) else _reference(present),
        system="\n".join(text for text in system if text) or None,
    )
    texts = (prompt.id, prompt.category, prompt.system or "", *prompt.turns, *prompt.reference)
    if any(HALF_CHARACTER.search(text) for text in texts):
        raise UserError("half a surrogate pair (\\ud800 to \\udfff), which is no character.")
    return prompt


def _conversation(row: Mapping[str, Any], form: Form) -> _Conversation:
    value = row[form.key]
    talk = _Conversation()
    items: Sequence[Any] = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise UserError(
            f"`{form.key}` must be a text, a list of texts or a list of messages, "
            f"not {type(value).__name__}."
        )
    for item in items:
        if isinstance(item, Mapping):
            message = {key: part for key, part in item.items() if part is not None}
            talk.add(_role(message), _text(_first(message, CONTENT_KEYS, ""), form.key))
        else:
            text = _text(item, form.key)
            talk.add("user", form.prefix + text if text.strip() else "")
    if form.suffix and talk.turns and row.get(form.suffix):
        talk.turns[-1] += "\n\n" + _text(row[form.suffix], form.suffix)
    return talk


def _role(message: Mapping[str, Any]) -> str:
    name = _first(message, ROLE_KEYS, None)
    if not isinstance(name, str):
        raise UserError(f"a message needs one of the roles {', '.join(ROLES)}, not {name!r}.")
    role = ROLES.get(name.lower())
    if role is None:
        raise Skip(f"a message of the role {name!r}")
    return role


def _text(value: Any, key: str) -> str:
    """A text, or the joined texts of a list of `{"type": "text", "text": ...}` parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
        texts = [part.get("text") for part in value]
        if all(isinstance(text, str) for text in texts):
            return "".join(texts)
    raise UserError(f"`{key}` holds {type(value).__name__} where a text belongs.")


def _reference(row: Mapping[str, Any]) -> tuple[str, ...]:
    value = _first(row, REFERENCE_KEYS, [])
    answers = value if isinstance(value, list) else [value]
    return tuple(
        "\n".join(map(str, answer)) if isinstance(answer, list) else str(answer)
        for answer in answers
    )


def _first(row: Mapping[str, Any], keys: Sequence[str], otherwise: Any) -> Any:
    return next((row[key] for key in keys if key in row), otherwise)
