"""Stories from a random grammar: the creative family, hard to predict."""

import random
import re

from eagle_bench.training.tasks.facts import ANIMALS
from eagle_bench.training.tasks.task import Task
from eagle_bench.training.tasks.words import COLORS, ITEMS, NAMES, PLACES, pronoun

PROMPTS = (
    "Write a story about {hero}, a {item} and the {place}. It takes {days} days.",
    "Tell me a story of {days} days. {hero} looks for a {item} at the {place}.",
    "Please write a story in {days} days about {hero}, who wants the {item} from the {place}.",
    "{hero} goes to the {place} to find a {item}. Tell the story day by day for {days} days.",
)
STARTS = (
    "{hero} wanted to find the {item} of the {place}.",
    "An old map told {hero} about a {item} at the {place}.",
    "One day {hero} got a letter about a {item} at the {place}.",
    "Last week {hero} lost a {item} near the {place}.",
)
TIMES = ("In the morning", "At noon", "In the evening", "At night")
MOODS = tuple("happy tired cold brave sad calm proud hungry lonely lucky strong afraid".split())
MEETINGS = (
    "{time}, {who} met a {mood} {animal} near the {spot}.",
    "{time}, a {color} {animal} walked out of the {spot} and looked at {hero}.",
    "{who} saw a {animal} with a {color} {thing}.",
    "{time}, {who} walked to the {spot} and heard a {mood} {animal}.",
    "A {mood} {animal} waited for {hero} at the {spot}.",
)
EVENTS = (
    "They looked for the {item}, but they only found a {color2} {thing2}.",
    "The {animal} gave {hero} a {color2} {thing2} and ran away.",
    '"I saw your {item} near the {other}," said the {animal}.',
    "{who} opened a {color2} box and found a {mood} little {other_animal}.",
    "{who} lost a {thing2} but found a {color2} key.",
    "The {animal} told {hero} an old story about the {other}.",
    "They made a {color2} {thing2} and put it near the {other}.",
    '"Do you have a {thing2}?" asked the {animal}.',
)
MORE = (
    "{who} felt {mood2}.",
    "The night was {mood2} and {hero} slept near the {other}.",
    "Then {who} took the {thing2} and walked on.",
    "{who} wanted to go home, but the {other_animal} said no.",
    "The road to the {other} was long.",
    "{who} and the {animal} were {mood2}.",
)
CLOSING = "In the end, {hero} found the {item} and went home from the {place}. The end."


def make(rng: random.Random) -> Task:
    """Draw a prompt and one of its very many stories."""
    hero, item, place = rng.choice(NAMES), rng.choice(ITEMS), rng.choice(PLACES)
    days = rng.randint(2, 12)
    prompt = rng.choice(PROMPTS).format(hero=hero, item=item, place=place, days=days)
    start = rng.choice(STARTS).format(hero=hero, item=item, place=place)
    things = _shuffled([thing for thing in ITEMS if thing not in (item, "key")], rng)
    spots = _shuffled([spot for spot in PLACES if spot != place], rng)
    moods, animals = _shuffled(MOODS, rng), _shuffled(ANIMALS, rng)
    chapters = [
        _day(
            rng,
            hero=hero,
            item=item,
            thing=things[2 * day],
            thing2=things[2 * day + 1],
            spot=spots[day],
            other=spots[-1 - day % 7],
            animal=animals[2 * day],
            other_animal=animals[2 * day + 1],
            mood=moods[day],
            mood2=moods[day - 1],
        )
        for day in range(days)
    ]
    lines = (f"Day {i}: {chapter}" for i, chapter in enumerate(chapters, 1))
    closing = CLOSING.format(hero=hero, item=item, place=place)
    return Task("story", (prompt,), ("\n".join((start, *lines, closing)),))


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether a story has its days in order, its hero and the right ending."""
    wanted = task.answers[turn].splitlines()
    start, *days, closing = answer.splitlines() if "\n" in answer.strip() else ("", "")
    hero = re.search(r"In the end, (\w+)", wanted[-1])
    return (
        hero is not None
        and hero[1] in start
        and closing == wanted[-1]
        and [_head(day) for day in days] == [_head(day) for day in wanted[1:-1]]
        and len({day.partition(": ")[2] for day in days}) == len(days)
        and all(day.endswith(".") and len(day) > 20 for day in days)
    )


def _day(rng: random.Random, **words: str) -> str:
    """Draw the sentences of one day."""
    words["time"] = rng.choice(TIMES)
    words["color"], words["color2"] = rng.sample(COLORS, 2)
    shapes = [rng.choice(MEETINGS), *rng.sample(EVENTS, rng.randint(1, 2))]
    if rng.random() < 0.8:
        shapes.append(rng.choice(MORE))
    return " ".join(_sentence(shape, rng, words) for shape in shapes)


def _sentence(shape: str, rng: random.Random, words: dict[str, str]) -> str:
    """Fill one sentence, naming the hero or using the pronoun."""
    hero = words["hero"]
    who = rng.choice((hero, pronoun(hero)))
    if not shape.startswith("{who}") and who != hero:
        who = who.lower()
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", shape.format(who=who, **words))


def _head(line: str) -> str:
    """The heading of a day."""
    return line.partition(":")[0]


def _shuffled(words: tuple[str, ...] | list[str], rng: random.Random) -> list[str]:
    """The words in random order."""
    return rng.sample(words, len(words))
