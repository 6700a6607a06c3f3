"""Chat templates against strings written down by hand, and token ids with a tiny tokenizer."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from eagle_bench.data.chat import chat_format, opening, template_names
from eagle_bench.data.prompt import Prompt
from eagle_bench.errors import UserError

TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Yo"},
    {"role": "user", "content": "Bye"},
]
SYSTEM = {"role": "system", "content": "Sys"}
HELPFUL = "You are a helpful assistant."
CHATML = (
    "<|im_start|>system\nSys<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    "<|im_start|>assistant\nYo<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
    "<|im_start|>assistant\n"
)


def tokenizer(chat_template: str | None = None, bos: bool = True) -> PreTrainedTokenizerFast:
    """Bytes as tokens, `<s>` (put before every text when `bos`), `</s>` and `<|im_start|>`."""
    special = ["<s>", "</s>", "<|im_start|>"]
    letters = sorted(ByteLevel.alphabet())
    core = Tokenizer(BPE({token: i for i, token in enumerate(special + letters)}, []))
    core.pre_tokenizer = ByteLevel(add_prefix_space=False)
    core.add_special_tokens(special)
    if bos:
        core.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    names = {"bos_token": "<s>", "eos_token": "</s>"} if bos else {"eos_token": "</s>"}
    result = PreTrainedTokenizerFast(tokenizer_object=core, **names)
    result.chat_template = chat_template
    return result


def text_of(ids: list[int]) -> str:
    """The ids back as text, byte by byte, without the tokenizer's own decoder."""
    special = ["<s>", "</s>", "<|im_start|>"]
    # `bytes_to_unicode` maps printable ASCII to itself, blank to Ġ and newline to Ċ.
    letters = sorted(ByteLevel.alphabet())
    written = "".join((special + letters)[i] for i in ids)
    return written.replace("Ġ", " ").replace("Ċ", "\n")


def named(name: str, history: list[dict[str, str]], thinking: bool | None = None) -> str:
    return chat_format(tokenizer(), name, thinking).render(history)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen", CHATML),
        ("qwen3", CHATML),
        ("qwen3-thinking", CHATML),
        ("qwen3-instruct", CHATML + "<think>\n\n</think>\n\n"),
        (
            "llama3",
            "<s><|start_header_id|>system<|end_header_id|>\n\nSys<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nYo<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "llama4",
            "<s><|header_start|>system<|header_end|>\n\nSys<|eot|>"
            "<|header_start|>user<|header_end|>\n\nHi<|eot|>"
            "<|header_start|>assistant<|header_end|>\n\nYo<|eot|>"
            "<|header_start|>user<|header_end|>\n\nBye<|eot|>"
            "<|header_start|>assistant<|header_end|>\n\n",
        ),
        ("mistral", "<s>[INST] Hi[/INST] Yo</s>[INST] Sys\n\nBye[/INST]"),
        (
            "gemma",
            "<s><start_of_turn>user\nSys\n\nHi<end_of_turn>\n<start_of_turn>model\nYo<end_of_turn>\n"
            "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
        ),
        (
            "phi3",
            "<|system|>\nSys<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nYo<|end|>\n"
            "<|user|>\nBye<|end|>\n<|assistant|>\n",
        ),
        (
            "phi4",
            "<|im_start|>system<|im_sep|>Sys<|im_end|><|im_start|>user<|im_sep|>Hi<|im_end|>"
            "<|im_start|>assistant<|im_sep|>Yo<|im_end|><|im_start|>user<|im_sep|>Bye<|im_end|>"
            "<|im_start|>assistant<|im_sep|>",
        ),
        (
            "phi4-mini",
            "<|system|>Sys<|end|><|user|>Hi<|end|><|assistant|>Yo<|end|><|user|>Bye<|end|>"
            "<|assistant|>",
        ),
        ("vicuna", "<s>Sys USER: Hi ASSISTANT: Yo</s>USER: Bye ASSISTANT:"),
        ("deepseek-v2", "<s>Sys\n\nUser: Hi\n\nAssistant: Yo</s>User: Bye\n\nAssistant:"),
        ("deepseek-v3", "<s>Sys<｜User｜>Hi<｜Assistant｜>Yo</s><｜User｜>Bye<｜Assistant｜>"),
        ("deepseek", "<s>Sys<｜User｜>Hi<｜Assistant｜>Yo</s><｜User｜>Bye<｜Assistant｜>"),
        (
            "gpt-oss",
            "<|start|>system<|message|>Sys<|end|><|start|>user<|message|>Hi<|end|>"
            "<|start|>assistant<|channel|>final<|message|>Yo<|end|>"
            "<|start|>user<|message|>Bye<|end|><|start|>assistant",
        ),
        (
            "gpt-oss-naive",
            "<|start|>system<|message|>Sys<|end|><|start|>user<|message|>Hi<|end|>"
            "<|start|>assistant<|channel|>analysis<|message|>Yo<|end|>"
            "<|start|>user<|message|>Bye<|end|>"
            "<|start|>assistant<|channel|>analysis<|message|>",
        ),
    ],
)
def test_named_templates(name: str, expected: str) -> None:
    assert named(name, [SYSTEM, *TALK]) == expected


def test_every_shipped_template_is_tested_above() -> None:
    marks = test_named_templates.pytestmark
    assert {case[0] for case in marks[0].args[1]} == set(template_names())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen", f"<|im_start|>system\n{HELPFUL}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"),
        (
            "llama3",
            "<s><|start_header_id|>system<|end_header_id|>\n\nYou are a helpful, respectful",
        ),
        ("llama4", f"<s><|header_start|>system<|header_end|>\n\n{HELPFUL}<|eot|><|header_start|>u"),
        ("mistral", "<s>[INST] Hi[/INST]"),
        ("gemma", f"<s><start_of_turn>user\n{HELPFUL}\n\nHi<end_of_turn>\n<start_of_turn>model\n"),
        ("phi3", f"<|system|>\n{HELPFUL}<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\n"),
        ("phi4-mini", f"<|system|>{HELPFUL}<|end|><|user|>Hi<|end|><|assistant|>"),
        ("vicuna", "<s>A chat between a curious user and an artificial intelligence assistant."),
        ("deepseek-v2", "<s>User: Hi\n\nAssistant:"),
        ("deepseek-v3", f"<s>{HELPFUL}<｜User｜>Hi<｜Assistant｜>"),
        ("gpt-oss", "<|start|>system<|message|>You are ChatGPT, a large language model"),
        ("gpt-oss-naive", "<|start|>user<|message|>Hi<|end|><|start|>assistant<|channel|>analysis"),
    ],
)
def test_default_system_message(name: str, expected: str) -> None:
    assert named(name, TALK[:1]).startswith(expected)


def test_thinking_switches_the_empty_thought() -> None:
    thought = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert named("qwen3", TALK, thinking=False).endswith(thought)
    assert "<think>" not in named("qwen3", TALK, thinking=True)
    assert "<think>" not in named("qwen3", TALK, thinking=None)


@pytest.mark.parametrize("name", ["qwen", "none"])
def test_thinking_without_effect_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"enable_thinking=false has no effect .*={name}"):
        chat_format(tokenizer(), name, False)


def test_a_templates_own_variables_are_set() -> None:
    own = tokenizer(
        "{% if tools %}{{ tools[0].name }}:{% endif %}{{ date }}{{ messages[0].content }}"
    )
    kwargs = {"date": "1 May", "tools": [{"name": "sum"}]}
    assert chat_format(own, "auto", kwargs=kwargs).render(TALK[:1]) == "sum:1 MayHi"
    assert chat_format(own, "auto").render(TALK[:1]) == "Hi"


@pytest.mark.parametrize(
    ("name", "template", "why"),
    [
        ("dates", "auto", "dates does not occur there"),
        ("date", "none", "date does not occur there"),
        ("messages", "auto", "messages is set by the loop"),
    ],
)
def test_a_variable_without_effect_is_refused(name: str, template: str, why: str) -> None:
    own = tokenizer("{{ date }}{{ messages[0].content }}")
    with pytest.raises(UserError, match=f"chat_template_kwargs.{name} has no effect .*: {why}"):
        chat_format(own, template, kwargs={name: "1 May"})


def test_auto_is_the_tokenizers_own() -> None:
    own = (
        "{% for m in messages %}{{ bos_token if loop.first }}{{ m.role }}:{{ m.content }};"
        "{% endfor %}"
    )
    format = chat_format(tokenizer(own), "auto", None)
    assert text_of(format.encode(TALK)) == "<s>user:Hi;assistant:Yo;user:Bye;"


def test_auto_without_a_template() -> None:
    with pytest.raises(UserError, match=r"no chat template: set chat_template=none .*\(deepseek"):
        chat_format(tokenizer(), "auto", None)


def test_auto_with_several_templates_and_no_default() -> None:
    several = tokenizer()
    several.chat_template = {"rag": "a", "tool_use": "b"}
    with pytest.raises(UserError, match=r"several chat templates \(rag, tool_use\)"):
        chat_format(several, "auto", None)
    several.chat_template = {"default": "{{ messages[0].content }}", "rag": "a"}
    assert chat_format(several, "auto", None).render(TALK[:1]) == "Hi"


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("name", ["none", "qwen", "llama3", "mistral", "vicuna", "deepseek-v3"])
def test_bos_is_there_exactly_once_where_it_belongs(name: str, bos: bool) -> None:
    ids = chat_format(tokenizer(bos=bos), name, None).encode([TALK[0]])
    assert ids.count(0) == (1 if bos and name != "qwen" else 0)
    assert 0 not in ids[1:]


def test_plain_text_that_begins_with_bos_gets_no_second_one() -> None:
    ids = chat_format(tokenizer(), "none", None).encode([{"role": "user", "content": "<s>Hi"}])
    assert text_of(ids) == "<s>Hi"


def test_none_is_the_text_as_it_is() -> None:
    format = chat_format(tokenizer(), "none", None)
    assert text_of(format.encode(TALK[:1])) == "<s>Hi"
    assert text_of(format.encode(TALK)) == "<s>Hi\nYo\nBye"


def test_special_tokens_become_one_id() -> None:
    ids = chat_format(tokenizer(), "qwen", None).encode(TALK[:1])
    assert ids.count(2) == 3
    assert text_of(ids) == named("qwen", TALK[:1])


def test_a_later_turn_only_appends() -> None:
    format = chat_format(tokenizer(), "qwen", None)
    first, second = format.render(TALK[:1]), format.render(TALK)
    assert second.startswith(first + "Yo")


def test_foreign_markers_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        format = chat_format(tokenizer(), "qwen", None)
    assert format.foreign_markers == ("<|im_end|>",)
    assert "chat_template=qwen uses <|im_end|>, unknown to this tokenizer" in caplog.text


def test_a_history_is_rendered_once(tmp_path: Path) -> None:
    path = tmp_path / "clock.jinja"
    path.write_text("{{ strftime_now('%S%f') }}")
    format = chat_format(tokenizer(), str(path), None)
    first = format.encode(TALK)
    assert format.encode(TALK) == first
    assert format.encode(TALK[:1]) != first


def test_an_expression_between_bars_is_no_foreign_marker(tmp_path: Path) -> None:
    path = tmp_path / "own.jinja"
    path.write_text("{% for message in messages %}<|{{ message.role }}|>{% endfor %}")
    assert chat_format(tokenizer(), str(path), None).foreign_markers == ()


def test_a_template_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text("{{ messages[-1].content }}{% if add_generation_prompt %}>{% endif %}")
    assert chat_format(tokenizer(), str(path), None).render(TALK) == "Bye>"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ messages[0].content }\n", "fails in line 1: unexpected '}'"),
        ("{{ raise_exception('no such role') }}", "fails: no such role"),
        ("{{ messages[0].content + 1 }}", "fails: can only concatenate str"),
        ("{{ nothing.at.all }}", "fails: 'nothing' is undefined"),
    ],
)
def test_a_bad_template_file(tmp_path: Path, source: str, sentence: str) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text(source)
    with pytest.raises(UserError, match=sentence):
        chat_format(tokenizer(), str(path), None)


def test_a_template_that_refuses_the_system_message_is_the_users_error() -> None:
    own = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}{{ messages[0].content }}"
    )
    format = chat_format(tokenizer(own), "auto", None)
    with pytest.raises(UserError, match="chat_template=auto fails: System role not supported"):
        format.encode([SYSTEM, *TALK])


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="chat_template=qwne is neither auto, none, a known name"):
        chat_format(tokenizer(), "qwne", None)
    with pytest.raises(UserError, match="nor a readable Jinja file"):
        chat_format(tokenizer(), str(tmp_path), None)


def test_opening_messages() -> None:
    assert opening(Prompt("1", "c", ("Hi", "Bye"))) == [TALK[0]]
    assert opening(Prompt("1", "c", ("Hi",), system="Sys")) == [SYSTEM, TALK[0]]


def turn_end(behind: str, before: str = "") -> int | None:
    talk = "{% for m in messages %}<|im_start|>{{ m.content }}END{% endfor %}"
    template = before + talk.replace("END", behind)
    return chat_format(tokenizer(template), "auto", None).turn_end()


def test_the_end_of_a_turn_is_the_control_token_behind_the_answer() -> None:
    assert turn_end("</s>") == 1
    assert turn_end("\n</s>\n") == 1
    assert turn_end("") is None
    assert turn_end("\n") is None
    only_the_question = chat_format(tokenizer("{{ messages[0].content }}</s>"), "auto", None)
    assert only_the_question.turn_end() is None
    refused = "{% if messages[1:] %}{{ raise_exception('one turn') }}{% endif %}"
    assert turn_end("</s>", refused) is None
    assert turn_end("</s>{# <|channel|> #}") is None
    assert chat_format(tokenizer(), "none", None).turn_end() is None


def test_what_a_tokenizer_adds_is_left_off_and_said() -> None:
    closing = tokenizer()
    closing.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    plain = chat_format(closing, "none", None)
    assert text_of(plain.encode(TALK[:1])) == "<s>Hi"
    assert plain.remarks == ["The tokenizer ends a text with </s>: left off, as an answer follows."]
    own = [{"role": "user", "content": "Hi</s>"}]
    assert text_of(chat_format(tokenizer(), "none", None).encode(own)) == "<s>Hi</s>"
    twice = chat_format(tokenizer("{{ bos_token }}<s>{{ messages[0].content }}"), "auto", None)
    assert text_of(twice.encode(TALK[:1])) == "<s>Hi"
    assert twice.remarks == ["chat_template=auto begins with <s> twice: one is left out."]
    assert chat_format(tokenizer(), "qwen", None).remarks == []
