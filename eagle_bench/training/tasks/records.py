"""Records about people, as sentences: the raw material of `extract` and `table`."""

import random
from dataclasses import dataclass

from eagle_bench.training.tasks.words import COLORS, DAYS, ITEMS, NAMES, PLACES

Record = dict[str, str | int]


@dataclass(frozen=True)
class Kind:
    """A kind of record: its keys and the sentences that can state one."""

    keys: tuple[str, ...]
    sentences: tuple[str, ...]

    def draw(self, rng: random.Random, count: int) -> list[Record]:
        """Draw records about different people."""
        return [
            {key: name if key == "name" else _value(key, rng) for key in self.keys}
            for name in rng.sample(NAMES, count)
        ]


KINDS = (
    Kind(
        ("name", "count", "color", "item", "day"),
        (
            "{name} buys {count} {color} {item} on {day}.",
            "On {day}, {name} buys {count} {color} {item}.",
            "{name} finds {count} {color} {item} on {day}.",
        ),
    ),
    Kind(
        ("name", "place", "day"),
        (
            "{name} goes to the {place} on {day}.",
            "On {day}, {name} goes to the {place}.",
            "{name} visits the {place} on {day}.",
        ),
    ),
    Kind(
        ("name", "age", "place", "color"),
        (
            "{name} is {age}, works at the {place} and likes {color}.",
            "{name}, who is {age} years old, works at the {place} and likes {color}.",
            "At the {place} works {name}, who is {age} and likes {color}.",
        ),
    ),
    Kind(
        ("name", "item", "price", "day"),
        (
            "{name} sells a {item} for {price} dollars on {day}.",
            "On {day}, {name} sells a {item} for {price} dollars.",
            "{name} gets {price} dollars for a {item} on {day}.",
        ),
    ),
)


def _value(key: str, rng: random.Random) -> str | int:
    """Draw a value for one key."""
    match key:
        case "count":
            return rng.randint(2, 60)
        case "age":
            return rng.randint(18, 80)
        case "price":
            return rng.randint(2, 99)
        case "color":
            return rng.choice(COLORS)
        case "place":
            return rng.choice(PLACES)
        case "day":
            return rng.choice(DAYS)
    return rng.choice(ITEMS)


def listed(words: tuple[str, ...]) -> str:
    """Join words as English does: one, two and three."""
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]
