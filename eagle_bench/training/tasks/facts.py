"""A closed world of animals to memorise: questions about one, or comparing two."""

import random
import re
from dataclasses import dataclass

from eagle_bench.training.tasks.task import Task


@dataclass(frozen=True)
class Animal:
    """What the closed world knows about one animal."""

    name: str
    kind: str
    color: str
    legs: str
    home: str
    food: str
    skill: str


WORLD = {
    fields[0]: Animal(*fields)
    for fields in (
        line.split()
        for line in """
        lion mammal yellow 4 field meat run
        tiger mammal orange 4 forest meat swim
        bear mammal brown 4 forest fish climb
        wolf mammal gray 4 forest meat run
        fox mammal red 4 forest mice dig
        deer mammal brown 4 forest leaves jump
        rabbit mammal brown 4 field grass jump
        mouse mammal gray 4 field seeds climb
        horse mammal brown 4 farm grass run
        sheep mammal white 4 farm grass walk
        goat mammal white 4 mountain leaves climb
        pig mammal pink 4 farm fruit dig
        elephant mammal gray 4 field leaves swim
        giraffe mammal yellow 4 field leaves run
        monkey mammal brown 4 forest fruit climb
        panda mammal white 4 mountain leaves climb
        squirrel mammal red 4 forest seeds climb
        bat mammal black 2 cave insects fly
        dolphin mammal gray 0 sea fish jump
        otter mammal brown 4 river fish swim
        beaver mammal brown 4 river leaves swim
        owl bird brown 2 forest mice fly
        eagle bird brown 2 mountain fish fly
        crow bird black 2 field seeds fly
        swan bird white 2 lake grass swim
        duck bird brown 2 lake seeds swim
        parrot bird green 2 forest fruit fly
        penguin bird black 2 sea fish swim
        turtle reptile green 4 sea grass swim
        snake reptile brown 0 field mice climb
        crocodile reptile green 4 river fish swim
        shark fish gray 0 sea fish swim
        ant insect black 6 field seeds dig
        bee insect yellow 6 garden nectar fly
        spider arachnid black 8 garden insects climb
        """.strip().splitlines()
    )
}
ANIMALS = tuple(WORLD)
VALUES = {word for animal in WORLD.values() for word in vars(animal).values()}

TELL = (
    "Tell me about the {a}. What is it like?",
    "Please tell me what you know about the {a}.",
    "Please write a few sentences about the {a}.",
    "Read your facts and write about the {a}.",
)
ASK = {
    "kind": "what kind of animal the {a} is",
    "color": "what color the {a} is",
    "legs": "how many legs the {a} has",
    "home": "where the {a} lives",
    "food": "what the {a} eats",
    "skill": "what the {a} does well",
}
ASKING = (
    "Please tell me {question}.",
    "Do you know {question}? Please tell me.",
    "Write two sentences that tell me {question}.",
    "Here is a question for you: {question}?",
)
COMPARE = (
    "Compare the {a} and the {b} in a few sentences.",
    "Please compare the {a} with the {b}.",
    "What do you know about the {a} and the {b}?",
    "Please tell me about the {a} and the {b}.",
)
AGAIN = {
    "kind": ("And what kind of animal is it?", "And what kind of animals are they?"),
    "color": ("And what color is it?", "And what color are they?"),
    "legs": ("And how many legs does it have?", "And how many legs do they have?"),
    "home": ("And where does it live?", "And where do they live?"),
    "food": ("And what does it eat?", "And what do they eat?"),
    "skill": ("And what can it do well?", "And what can they do well?"),
}
STATE = {
    "kind": "{who} is {article} {kind}",
    "color": "{who} is {color}",
    "legs": "{who} has {legs} legs",
    "home": "{who} lives in the {home}",
    "food": "{who} eats {food}",
    "skill": "{who} can {skill} well",
}
KEYS = tuple(STATE)
MAIN = ("kind", "color", "legs", "home", "food")


def make(rng: random.Random) -> Task:
    """Draw a question and, in a third of the cases, a follow-up."""
    first, second = (WORLD[name] for name in rng.sample(ANIMALS, 2))
    style = rng.choice(("tell", "ask", "compare", "compare", "compare"))
    animals = (first, second) if style == "compare" else (first,)
    told = (rng.choice(KEYS),) if style == "ask" else MAIN
    phrasing = rng.choice({"tell": TELL, "ask": ASKING, "compare": COMPARE}[style])
    prompt = phrasing.replace("{question}", ASK[told[0]]).format(a=first.name, b=second.name)
    turns, answers = [prompt], [_answer(animals, told)]
    if rng.random() < 1 / 3:
        key = rng.choice([key for key in KEYS if key != told[0]])
        turns.append(AGAIN[key][len(animals) - 1])
        answers.append(_answer(animals, (key,)))
    return Task("facts", tuple(turns), tuple(answers))


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether the answer names the right animals and values in order."""
    return _known(answer) == _known(task.answers[turn])


def _answer(animals: tuple[Animal, ...], keys: tuple[str, ...]) -> str:
    """State the asked attributes; a single one brings the next along."""
    if len(keys) == 1:
        keys += (KEYS[(KEYS.index(keys[0]) + 1) % len(KEYS)],)
    if len(animals) == 2:
        a, b = animals
        return " ".join(f"{_state(a, key)}, and {_lower(_state(b, key))}." for key in keys)
    animal = animals[0]
    clauses = [_state(animal, key) for key in keys]
    return ". ".join(clauses).replace(f". The {animal.name}", ". It") + "."


def _state(animal: Animal, key: str) -> str:
    """One clause about one animal."""
    article = "an" if animal.kind[0] in "aeiou" else "a"
    return STATE[key].format(who=f"The {animal.name}", article=article, **vars(animal))


def _lower(clause: str) -> str:
    """The clause without its capital."""
    return clause[0].lower() + clause[1:]


def _known(answer: str) -> list[str]:
    """The words of the closed world, in order."""
    return [word for word in re.findall(r"\w+", answer) if word in VALUES]
