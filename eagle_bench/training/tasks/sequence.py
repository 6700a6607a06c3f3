"""Counting and other series, one short line for each item."""

import random
import re

from eagle_bench.training.tasks.task import Task
from eagle_bench.training.tasks.words import DAYS, ITEMS, MONTHS, NAMES

LENGTHS = ((6, 16), (17, 45), (60, 120), (60, 120))
COUNT = (
    "Count from {first} to {last} by {step}. Write one line for each number.",
    "Write the numbers from {first} to {last} in steps of {step}, one on each line.",
    "Please count from {first} to {last} in steps of {step}, line by line.",
    "Start at {first} and count by {step} to {last}. Use one line for each number.",
)
TIMES = (
    "Write the table of {step} times each number from {first} to {last}.",
    "Show {step} times each number from {first} to {last}, line by line.",
    "What is {step} times each number from {first} to {last}? Use one line for each.",
)
SQUARES = (
    "Write the squares of the numbers from {first} to {last}.",
    "Show the square of each number from {first} to {last}.",
    "What are the squares from {first} to {last}? Use one line for each.",
)
CYCLE = (
    "List {count} {kind} in order. Start with {first}, one on each line.",
    "Write {count} {kind} line by line. The first one is {first}.",
    "Start at {first} and list {count} {kind}, one on each line.",
)
TOTALS = (
    "{name} has {first} {item}s and gets {step} more each day. Count them for {count} days.",
    "Each day {name} gets {step} {item}s. The start is {first}. Show the total for {count} days.",
    "Start with {first} {item}s. {name} buys {step} each day. Write the total for {count} days.",
)


def make(rng: random.Random) -> Task:
    """Draw a series of one of five kinds."""
    count = rng.randint(*rng.choice(LENGTHS))
    kind = rng.choices((_count, _totals, _times, _squares, _cycle), (6, 5, 3, 1, 1))[0]
    prompt, lines = kind(count, rng)
    return Task("sequence", (prompt,), ("\n".join(lines),))


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether each line has the right numbers and names."""
    return _values(answer) == _values(task.answers[turn])


def _values(answer: str) -> list[list[str]]:
    """The numbers and capitalised words of each line."""
    return [re.findall(r"\d+|[A-Z]\w+", line) for line in answer.splitlines() if line.strip()]


def _count(count: int, rng: random.Random) -> tuple[str, list[str]]:
    """Count up or down."""
    first, step = rng.randint(0, 99), rng.randint(1, 9)
    numbers = [first + step * i for i in range(count)]
    if rng.random() < 0.3:
        numbers.reverse()
    prompt = rng.choice(COUNT).format(first=numbers[0], last=numbers[-1], step=step)
    return prompt, [f"Number {i} is {number}." for i, number in enumerate(numbers, 1)]


def _totals(count: int, rng: random.Random) -> tuple[str, list[str]]:
    """Keep a running total of some items."""
    count = min(count, 80)
    first, step = rng.randint(1, 60), rng.randint(2, 9)
    name, item = rng.choice(NAMES), rng.choice(ITEMS)
    prompt = rng.choice(TOTALS).format(first=first, step=step, count=count, name=name, item=item)
    days = range(1, count + 1)
    return prompt, [f"After day {i}, {name} has {first + step * i} {item}s." for i in days]


def _times(count: int, rng: random.Random) -> tuple[str, list[str]]:
    """Write out a multiplication table."""
    step, first = rng.randint(2, 12), rng.randint(1, 20)
    last = first + min(count, 60)
    prompt = rng.choice(TIMES).format(step=step, first=first, last=last)
    return prompt, [f"{step} times {i} is {step * i}." for i in range(first, last + 1)]


def _squares(count: int, rng: random.Random) -> tuple[str, list[str]]:
    """Write out squares below a thousand."""
    first = rng.randint(1, 25)
    last = min(first + count, 31)
    prompt = rng.choice(SQUARES).format(first=first, last=last)
    return prompt, [f"The square of {i} is {i * i}." for i in range(first, last + 1)]


def _cycle(count: int, rng: random.Random) -> tuple[str, list[str]]:
    """Go round the days of the week or the months of the year."""
    kind, names = rng.choice((("days", DAYS), ("months", MONTHS)))
    first = rng.randrange(len(names))
    prompt = rng.choice(CYCLE).format(count=count, kind=kind, first=names[first])
    lines = [f"Number {i + 1} is {names[(first + i) % len(names)]}." for i in range(count)]
    return prompt, lines
