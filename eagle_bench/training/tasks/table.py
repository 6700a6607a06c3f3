"""Prose in, a markdown table out, optionally followed by a sentence for each row."""

import random

from eagle_bench.training.tasks.records import KINDS, Record, listed
from eagle_bench.training.tasks.task import Task
from eagle_bench.training.tasks.words import DAYS, NAMES, PLACES

PROMPTS = (
    "Make a table with the columns {keys}. {text}",
    "{text} Write this as a table with the columns {keys}.",
    "Turn the text into a table. Use the columns {keys}. Text: {text}",
    "Text: {text}\nMake a table of {keys}.",
)
NOTES = (
    " Then write one sentence for each row.",
    " After the table, tell me about each row.",
    " Add one sentence for each row.",
)
PLAN_KEYS = ("day", "name", "place")


def make(rng: random.Random) -> Task:
    """Draw either a list of facts or a plan of who works where on which days."""
    if rng.random() < 0.55:
        keys, text, rows = _plan(rng)
        sentence = "On {day}, {name} works at the {place}."
    else:
        kind = rng.choice(KINDS)
        keys, sentence, rows = kind.keys, kind.sentences[0], kind.draw(rng, rng.randint(2, 7))
        for row in rows:
            if "count" in row:
                row["item"] = f"{row['item']}s"
        text = " ".join(sentence.format(**row) for row in rows)
    prompt = rng.choice(PROMPTS).format(keys=listed(keys), text=text)
    answer = _table(keys, rows)
    if rng.random() < 0.6:
        prompt += rng.choice(NOTES)
        notes = (f"Row {i}: {sentence.format(**row)}" for i, row in enumerate(rows, 1))
        answer += "\n\n" + "\n".join(notes)
    return Task("table", (prompt,), (answer,))


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether the table has the right cells and the notes, if any, are right."""
    return _cells(answer) == _cells(task.answers[turn])


def _plan(rng: random.Random) -> tuple[tuple[str, ...], str, list[Record]]:
    """Let everybody work at one place on a run of days."""
    people = rng.sample(NAMES, rng.randint(2, 6))
    places = rng.sample(PLACES, len(people))
    first = rng.randint(0, 4)
    days = DAYS[first : rng.randint(first + 2, 7)]
    work = listed(
        tuple(f"{name} at the {place}" for name, place in zip(people, places, strict=True))
    )
    rows: list[Record] = [
        {"day": day, "name": name, "place": place}
        for day in days
        for name, place in zip(people, places, strict=True)
    ]
    return PLAN_KEYS, f"From {days[0]} to {days[-1]}, these people work: {work}.", rows


def _table(keys: tuple[str, ...], rows: list[Record]) -> str:
    """Lay out a markdown table."""
    cells = [keys, ("---",) * len(keys), *(tuple(str(row[key]) for key in keys) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cells(answer: str) -> list[list[str]]:
    """Split into stripped cells, line by line; a line outside the table is one cell."""
    lines = (line.strip() for line in answer.splitlines())
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line]
