"""From messages to the token ids that a target reads: chat templates, own, named or in a file."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from eagle_bench import assets
from eagle_bench.data.prompt import Prompt
from eagle_bench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ALIASES = {"deepseek": "deepseek-v3"}
MARKER = re.compile(r"<[|｜][^<>{}]+?[|｜]>|<(?:start|end)_of_turn>|\[/?INST\]")
"""The control tokens of a template's source."""
CHANNEL = "<|channel|>"
"""In such a template (gpt-oss) an answer has several parts, each with an end of its own."""
THINKING = ("enable_thinking", "thinking")
OURS = ("messages", "add_generation_prompt")
"""What of a template's variables no setting may set."""
HELLO = [{"role": "user", "content": "Hello"}]
ANSWER = "Yes, of course"

log = logging.getLogger(__name__)


def template_names() -> list[str]:
    """Every value of `chat_template` that names a shipped template."""
    return sorted([path.stem for path in assets.TEMPLATES.glob("*.jinja")] + list(ALIASES))


def template_file(chat_template: str) -> Path | None:
    """The Jinja file that `chat_template` names, shipped or the user's; None if it names none."""
    if chat_template in template_names():
        return assets.TEMPLATES / f"{ALIASES.get(chat_template, chat_template)}.jinja"
    path = Path(chat_template).expanduser()
    return path if path.is_file() else None


def opening(prompt: Prompt) -> list[dict[str, str]]:
    """The messages before the first answer: the system's, if any, and the first turn."""
    system = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
    return [*system, {"role": "user", "content": prompt.turns[0]}]


def all_turns(prompt: Prompt) -> list[dict[str, str]]:
    """The messages before the last answer, with short ones in the place of those before it."""
    later = [
        message
        for turn in prompt.turns[1:]
        for message in (
            {"role": "assistant", "content": ANSWER},
            {"role": "user", "content": turn},
        )
    ]
    return [*opening(prompt), *later]


@dataclass(frozen=True)
class ChatFormat:
    """How a conversation becomes token ids.

    Attributes
    ----------
    name : str
        What the user asked for: `auto`, `none`, a template's name, or a file.
    template : str or None
        Jinja source; None takes the texts as they are, joined by newlines.
    arguments : mapping
        Given to the template beside the messages.
    foreign_markers : tuple[str, ...]
        Control tokens of a named template that this tokenizer would split into pieces: a
        sign that the template belongs to another family of models.
    """

    tokenizer: PreTrainedTokenizerBase
    name: str
    template: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    foreign_markers: tuple[str, ...] = ()
    _encoded: dict[tuple[tuple[str, str], ...], list[int]] = field(default_factory=dict, repr=False)

    @property
    def remarks(self) -> list[str]:
        """What of the token ids a person would not expect, in sentences."""
        tokenizer, said = self.tokenizer, []
        text = self.render(HELLO)
        ids = self._ids(text)
        if ids[:2] == [tokenizer.bos_token_id] * 2:
            bos = tokenizer.bos_token
            said.append(f"chat_template={self.name} begins with {bos} twice: one is left out.")
        if self._closed(text, ids):
            eos = tokenizer.eos_token
            said.append(f"The tokenizer ends a text with {eos}: left off, as an answer follows.")
        return said

    def turn_end(self) -> int | None:
        """The control token that the template puts behind an answer; None where it puts none."""
        if self.template is None or CHANNEL in self.template:
            return None
        try:
            behind = self._behind(HELLO, ANSWER)
        except UserError:  # It renders no answers.
            return None
        first = self.tokenizer(behind.lstrip(), add_special_tokens=False)["input_ids"][:1]
        added = self.tokenizer.added_tokens_decoder
        control = [token for token in first if token in added and added[token].content.strip()]
        return control[0] if control else None

    def decode(self, tokens: list[int]) -> str:
        """An answer's text, control tokens left out."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def render(self, history: list[dict[str, str]], *, to_answer: bool = True) -> str:
        """`history` as text, with `to_answer` the generation prompt at its end."""
        if self.template is None:
            return "\n".join(message["content"] for message in history)
        try:
            text = self.tokenizer.apply_chat_template(
                history,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=to_answer,
                **self.arguments,
            )
        except (jinja2.TemplateError, TypeError) as error:
            line = getattr(error, "lineno", None)
            where = f" in line {line}" if line else ""
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(f"chat_template={self.name} fails{where}: {reason}.") from None
        return str(text)

    def encode(self, history: list[dict[str, str]]) -> list[int]:
        """Token ids `[prompt_tokens]` of `history`, ready for the assistant's next message.

        Parameters
        ----------
        history : list of dict
            Messages with `role` (system, user or assistant) and `content`, the last one the
            user's.

        Returns
        -------
        list[int]
            The same for the same history, also where the template reads a clock: rendered
            once. A template alone decides on BOS, which never appears twice in a row; plain text
            gets the special tokens that the tokenizer puts before it.
        """
        key = tuple((message["role"], message["content"]) for message in history)
        if key not in self._encoded:
            text = self.render(history)
            ids = self._ids(text)
            twice = ids[:2] == [self.tokenizer.bos_token_id] * 2
            self._encoded[key] = ids[int(twice) : len(ids) - self._closed(text, ids)]
        return list(self._encoded[key])

    def encode_answer(
        self, history: list[dict[str, str]], answer: str, eos_ids: frozenset[int]
    ) -> list[int]:
        """Token ids of a given answer to `history`, as the target would have generated it.

        The token that ends the assistant's turn in the template is the last one, where it is
        one of `eos_ids`.
        """
        ids, ends = (
            self.tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in (answer, self._behind(history, answer))
        )
        return [*ids, *(token for token in ends[:1] if token in eos_ids)]

    def _ids(self, text: str) -> list[int]:
        plain = self.template is None
        return list(self.tokenizer(text, add_special_tokens=plain, verbose=False)["input_ids"])

    def _closed(self, text: str, ids: list[int]) -> bool:
        """Whether the tokenizer has put its EOS behind a plain text."""
        eos = self.tokenizer.eos_token
        return (
            self.template is None
            and ids[-1:] == [self.tokenizer.eos_token_id]
            and not text.endswith(eos)
        )

    def _behind(self, history: list[dict[str, str]], answer: str) -> str:
        """What the template puts behind a given answer."""
        whole = self.render([*history, {"role": "assistant", "content": answer}], to_answer=False)
        _, found, behind = whole.rpartition(answer.strip())
        return behind if found else ""


def chat_format(
    tokenizer: PreTrainedTokenizerBase,
    chat_template: str,
    enable_thinking: bool | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> ChatFormat:
    """The format that `chat_template` asks for, tried on one message.

    Parameters
    ----------
    chat_template : str
        `auto` (the tokenizer's own), `none` (plain text), a name of `template_names()`, or
        the path of a Jinja file.
    enable_thinking : bool or None
        For templates that can switch the model's thinking on and off.
    kwargs : mapping
        Whatever else the template reads (a reasoning effort, a date, tools), by its name there.
    """
    template = _source(tokenizer, chat_template)
    if enable_thinking is not None and "thinking" not in (template or ""):
        raise UserError(
            f"dataset.enable_thinking={str(enable_thinking).lower()} has no effect with "
            f"chat_template={chat_template}, which knows no thinking; leave it null."
        )
    arguments = {} if enable_thinking is None else dict.fromkeys(THINKING, enable_thinking)
    arguments |= kwargs or {}
    for name in kwargs or {}:
        if name in OURS or name not in re.findall(r"\w+", template or ""):
            why = "is set by the loop" if name in OURS else "does not occur there"
            raise UserError(
                f"chat_template_kwargs.{name} has no effect with chat_template={chat_template}: "
                f"{name} {why}; leave it out."
            )
    foreign: tuple[str, ...] = ()
    if template is not None and chat_template != "auto":
        vocabulary = tokenizer.get_vocab()
        foreign = tuple(sorted(set(MARKER.findall(template)) - vocabulary.keys()))
    if foreign:
        log.warning(
            "chat_template=%s uses %s, unknown to this tokenizer: is it for another model?",
            chat_template,
            ", ".join(foreign),
        )
    result = ChatFormat(tokenizer, chat_template, template, arguments, foreign)
    result.render(HELLO)
    return result


def _source(tokenizer: PreTrainedTokenizerBase, chat_template: str) -> str | None:
    if chat_template == "none":
        return None
    if chat_template == "auto":
        if not tokenizer.chat_template:
            raise UserError(
                "The tokenizer has no chat template: set chat_template=none for plain text, "
                f"chat_template=NAME ({', '.join(template_names())}), or chat_template=FILE "
                "with a Jinja template."
            )
        named = tokenizer.chat_template
        if isinstance(named, dict) and "default" not in named:
            raise UserError(
                f"The tokenizer has several chat templates ({', '.join(sorted(named))}) and none "
                "is its default: save the one you mean as a file and set chat_template=FILE."
            )
        return str(tokenizer.get_chat_template())
    path = template_file(chat_template)
    if path is None:
        raise UserError(
            f"chat_template={chat_template} is neither auto, none, a known name "
            f"({', '.join(template_names())}) nor a readable Jinja file."
        )
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"chat_template={chat_template} cannot be read: {error.strerror}."
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"chat_template={chat_template} is a file that is no UTF-8 text.") from None
