"""A paragraph in, a JSON list of records out."""

import json
import random

from eagle_bench.training.tasks.records import KINDS, listed
from eagle_bench.training.tasks.task import Task

PROMPTS = (
    "Read the text and write a JSON list with the keys {keys}. {text}",
    "{text} Write this as JSON. Use the keys {keys}.",
    "Turn the text into a JSON list. Each record has the keys {keys}. Text: {text}",
    "Find the {keys} of each person and answer in JSON. {text}",
    "Text: {text}\nWrite one JSON record with {keys} for each person.",
)


def make(rng: random.Random) -> Task:
    """Draw a paragraph about one to four people."""
    kind = rng.choice(KINDS)
    records = kind.draw(rng, rng.choice((1, 2, 3, 3, 4, 4)))
    for record in records:
        if "count" in record:
            record["item"] = f"{record['item']}s"
    text = " ".join(rng.choice(kind.sentences).format(**record) for record in records)
    prompt = rng.choice(PROMPTS).format(keys=listed(kind.keys), text=text)
    return Task("extract", (prompt,), (json.dumps(records, indent=2),))


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether the answer is JSON that holds the right records."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return bool(found == json.loads(task.answers[turn]))
