"""Word problems, solved one equation at a time."""

import random
import re

from eagle_bench.training.tasks.task import Task
from eagle_bench.training.tasks.words import ITEMS, NAMES, plural, pronoun

LIMIT = 200
LEADS = (
    "",
    "Solve this problem step by step. ",
    "Here is a number problem. ",
    "Please work this out. ",
    "Show each step. ",
)
QUESTIONS = (
    "How many {item}s does {hero} have now?",
    "How many {item}s are left for {hero}?",
    "Find the number of {item}s that {hero} has in the end.",
)
GAINS = ("buys", "finds", "makes")
LOSSES = ("loses", "sells", "gives {friend}")


def make(rng: random.Random) -> Task:
    """Draw a problem of two to four steps, sometimes with a follow-up question."""
    hero, friend = rng.sample(NAMES, 2)
    item = rng.choice(ITEMS)
    steps = rng.choice((2, 3, 4, 4))
    if rng.random() < 0.4:
        total, fact, line = _bags(hero, item, rng)
        steps -= 1
    else:
        total = rng.randint(5, 90)
        fact = f"{hero} has {total} {item}s."
        line = f"{hero} starts with {total} {item}s."
    facts, lines = [fact], [line]
    for _ in range(steps - 1):
        total, fact, line = _step(total, hero, friend, item, rng)
        facts.append(fact)
        lines.append(line)
    price = rng.randint(2, 9)
    question = rng.choice(QUESTIONS).format(hero=hero, item=item)
    sale = total * price < LIMIT and rng.random() < 0.4
    if sale:
        total, fact, line = _sale(total, price, hero, item)
        question = f"How many dollars does {hero} get?"
    else:
        total, fact, line = _step(total, hero, friend, item, rng)
    facts.append(fact)
    lines.append(line)
    turns = [rng.choice(LEADS) + " ".join((*facts, question))]
    answers = [_answer(lines, total)]
    if not sale and rng.random() < 0.2:
        total, fact, line = _step(total, hero, friend, item, rng)
        turns.append(f"{fact} {rng.choice(QUESTIONS).format(hero=hero, item=item)}")
        answers.append(_answer([line], total))
    return Task("arithmetic", tuple(turns), tuple(answers))


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether the answer ends in the right number."""
    return _final(answer) == _final(task.answers[turn])


def _bags(hero: str, item: str, rng: random.Random) -> tuple[int, str, str]:
    """Open with a product."""
    bags, each = rng.randint(2, 9), rng.randint(2, 20)
    total = bags * each
    fact = f"{hero} has {bags} boxes with {each} {item}s in each box"
    return total, f"{fact}.", f"{fact}: {bags} * {each} = {total}."


def _step(
    total: int, hero: str, friend: str, item: str, rng: random.Random
) -> tuple[int, str, str]:
    """Add or take away; give the new total, the fact and the line that works it out."""
    gain = total < 5 or (total < LIMIT // 2 and rng.random() < 0.5)
    verb = rng.choice(GAINS if gain else LOSSES).format(friend=friend)
    change = rng.randint(1, min(99, LIMIT - 1 - total) if gain else min(99, total - 1))
    after = total + change if gain else total - change
    fact = f"{pronoun(hero)} {verb} {change} {'more ' if gain else ''}{plural(item, change)}"
    equation = f"{total} {'+' if gain else '-'} {change} = {after}"
    return after, f"{fact}.", f"{fact}: {equation}. Now {hero} has {after} {plural(item, after)}."


def _sale(total: int, price: int, hero: str, item: str) -> tuple[int, str, str]:
    """Close with a product: everything is sold."""
    money = total * price
    fact = f"Then {hero} sells each {item} for {price} dollars"
    return money, f"{fact}.", f"{fact}: {total} * {price} = {money}."


def _answer(lines: list[str], total: int) -> str:
    """Lay out the solution."""
    return "\n".join((*lines, f"The answer is {total}."))


def _final(answer: str) -> str | None:
    """The number the answer ends in."""
    found = re.search(r"The answer is (\d+)\.\s*$", answer)
    return found[1] if found else None
