"""The generated corpus: reproducible, true, legible and of the promised size."""

import random
import re
from collections.abc import Callable
from statistics import median

import pytest

from eagle_bench.training.tasks import FAMILIES, correct, make_task
from eagle_bench.training.tasks.task import Task, split_key

DRAWS = 200


def draw(family: str, count: int = DRAWS, seed: int = 0) -> list[Task]:
    """Draw some tasks of one family."""
    rng = random.Random(seed)
    return [make_task(family, rng) for _ in range(count)]


def bump_last_number(answer: str) -> str:
    """Add one to the last number."""
    return re.sub(r"\d+(?=\D*$)", lambda found: str(int(found[0]) + 1), answer)


def drop_last_line(answer: str) -> str:
    """Lose the last line."""
    return answer.rpartition("\n")[0]


SPOIL: dict[str, Callable[[str], str]] = {
    "arithmetic": bump_last_number,
    "extract": lambda answer: answer.replace('"name"', '"person"', 1),
    "code": lambda answer: answer.replace("def ", "def my_", 1),
    "table": drop_last_line,
    "rewrite": lambda answer: answer.rpartition(" ")[0],
    "story": drop_last_line,
    "sequence": drop_last_line,
    "facts": lambda answer: answer.rpartition(". ")[0],
}
FAMILY = pytest.mark.parametrize("family", FAMILIES)


def test_families_keep_their_order() -> None:
    assert list(FAMILIES) == list(SPOIL)


@FAMILY
def test_same_seed_same_tasks(family: str) -> None:
    assert draw(family, 50) == draw(family, 50)
    assert draw(family, 50) != draw(family, 50, seed=1)


@FAMILY
def test_accepts_its_own_answers(family: str) -> None:
    for task in draw(family):
        assert task.family == family
        for turn, answer in enumerate(task.answers):
            assert correct(task, turn, answer)


@FAMILY
def test_rejects_spoiled_answers(family: str) -> None:
    for task in draw(family):
        for turn, answer in enumerate(task.answers):
            assert not correct(task, turn, SPOIL[family](answer))
            assert not correct(task, turn, "\n")
            assert not correct(task, turn, "[" * 5000)


@FAMILY
def test_text_is_plain(family: str) -> None:
    for task in draw(family):
        assert len(task.turns) == len(task.answers)
        for text in task.turns + task.answers:
            assert text.isascii()
            assert "{" not in text or family == "extract"
            assert all(line == line.rstrip() for line in text.split("\n"))
        assert sum(map(len, task.turns + task.answers)) <= 3600
        assert 30 <= len(task.turns[0]) <= 500


@FAMILY
def test_prompts_are_mostly_distinct(family: str) -> None:
    # The facts are a closed world to memorise: a few thousand prompts are all there is.
    count, least = (3000, 2000) if family == "facts" else (1000, 930)
    assert len({split_key(task) for task in draw(family, count)}) > least


def test_split_key_depends_on_prompts_only() -> None:
    task = Task("facts", ("one", "two"), ("a", "b"))
    assert split_key(task) == split_key(Task("facts", ("one", "two"), ("c", "d")))
    assert split_key(task) != split_key(Task("facts", ("one",), ("a",)))
    assert re.fullmatch(r"[0-9a-f]{64}", split_key(task))


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "story"])
def test_one_answer_for_each_prompt(family: str) -> None:
    answers: dict[str, Task] = {}
    for task in draw(family, 1000):
        assert answers.setdefault(split_key(task), task) == task


def test_mixture_lengths_and_lexicon() -> None:
    tasks = [task for family in FAMILIES for task in draw(family)]
    lengths = [sum(map(len, task.answers)) for task in tasks]
    assert 250 < median(lengths) < 450
    assert 0.09 < sum(length > 1200 for length in lengths) / len(lengths) < 0.2
    texts = " ".join(text for task in tasks for text in task.turns + task.answers)
    assert 300 <= len(set(re.findall("[a-z]+", texts.lower()))) <= 460


@pytest.mark.parametrize("family", ["arithmetic", "rewrite", "facts"])
def test_some_tasks_have_a_second_turn(family: str) -> None:
    share = sum(len(task.turns) == 2 for task in draw(family)) / DRAWS
    assert 0.08 < share < 0.45


def test_equations_hold() -> None:
    apply = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
    for task in draw("arithmetic"):
        for answer in task.answers:
            for a, sign, b, result in re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)", answer):
                assert apply[sign](int(a), int(b)) == int(result) < 200


def test_code_runs() -> None:
    for task in draw("code"):
        scope: dict[str, object] = {}
        exec(task.answers[0], scope)
        for name in re.findall(r"def (\w+)", task.answers[0]):
            assert name in task.turns[0]


def test_code_is_judged_by_its_syntax_tree() -> None:
    task = draw("code", 1)[0]
    without_docstrings = re.sub(r' +""".*"""\n', "", task.answers[0])
    assert correct(task, 0, without_docstrings)
    assert not correct(task, 0, task.answers[0].replace("return", "return not", 1))


def test_stories_do_not_repeat_themselves() -> None:
    for task in draw("story"):
        lines = task.answers[0].splitlines()
        assert len(set(lines)) == len(lines)
        assert not correct(task, 0, "\n".join([*lines[:2], *lines[1:]]))


def test_another_story_is_correct_too() -> None:
    stories: dict[str, Task] = {}
    for task in draw("story", 800):
        other = stories.setdefault(split_key(task), task)
        assert correct(other, 0, task.answers[0])
