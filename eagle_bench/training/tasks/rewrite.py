"""A passage repeated with one systematic change, or with none."""

import random
import re

from eagle_bench.training.tasks.task import Task
from eagle_bench.training.tasks.words import BOYS, COLORS, DAYS, GIRLS, ITEMS, PLACES, pronoun

PAST = {
    "walks": "walked",
    "works": "worked",
    "opens": "opened",
    "finds": "found",
    "sees": "saw",
    "takes": "took",
    "buys": "bought",
    "loses": "lost",
    "makes": "made",
    "puts": "put",
    "is": "was",
}
HERS = {"He": "She", "His": "Her", "his": "her"}
HIS = {new: old for old, new in HERS.items()}
SENTENCES = (
    "{who} walks to the {place} on {day} and sees a {color} {item}.",
    "{who} works at the {place} and makes a {color} {item} for {his} house.",
    "{who} opens the {color} box and finds a {item} for {his} house.",
    "{who} sees a {color} {item} near the {place} on {day}.",
    "{who} takes the {color} {item} from the {place} and walks home.",
    "{who} buys a {color} {item} at the {place} on {day}.",
    "{who} loses {his} {color} {item} near the {place} on {day}.",
    "{who} puts {his} {item} in the {color} box and walks to the {place}.",
    "The {color} {item} near the {place} is old.",
    "The {item} is in {his} {color} bag on {day}.",
)
COPY = ("Copy this text.", "Repeat this text word for word.", "Write this text again.")
SWAP = (
    "Change the name {old} to {new}.",
    "Write the text with {new} in place of {old}.",
    "Use the name {new} and not {old}.",
)
GENDER = (
    "Change the person from {old} to {new} and use {she} and {her}.",
    "Write the text about {new}, not about {old}. Use {she} and {her}.",
    "Tell this about {new} in place of {old}, with {she} and {her}.",
)
TENSE = (
    "Write this text in the past.",
    "Change the text to the past.",
    "Tell this as if it was last week.",
)
NUMBER = (
    "Number the sentences of this text.",
    "Write each sentence on its own line with a number.",
    "Turn the text into a list with numbers.",
)

NUMBER_NEXT = (
    "Good. Now number the sentences of your answer.",
    "Now write each of your sentences on its own line with a number.",
    "Please turn your answer into a list with numbers.",
)


def make(rng: random.Random) -> Task:
    """Draw a passage and a change, sometimes with a second change on top."""
    same, other = rng.choice(((GIRLS, BOYS), (BOYS, GIRLS)))
    old, new = rng.sample(same, 2)
    text = _passage(old, rng)
    change = rng.choice((COPY, SWAP, GENDER, TENSE, NUMBER))
    if change is GENDER:
        new = rng.choice(other)
    order = rng.choice(change)
    answer = _change(text, change, old, new)
    prompt = f"{_order(order, old, new)} {text}"
    if rng.random() < 0.5:
        prompt = f"{_order(order, old, new)}\nText: {text}"
    turns, answers = [prompt], [answer]
    if change is not NUMBER and rng.random() < 0.2:
        turns.append(rng.choice(NUMBER_NEXT))
        answers.append(_change(answer, NUMBER, old, new))
    return Task("rewrite", tuple(turns), tuple(answers))


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether the answer is the changed passage, white space apart."""
    return answer.split() == task.answers[turn].split()


def _passage(name: str, rng: random.Random) -> str:
    """Draw two to six different sentences about one person."""
    he = pronoun(name)
    sentences = rng.sample(SENTENCES[:8], 1)
    sentences += rng.sample(
        [s for s in SENTENCES if s not in sentences], rng.choice((1, 2, 3, 4, 5, 5, 5))
    )
    return " ".join(
        sentence.format(
            who=name if i == 0 or rng.random() < 0.3 else he,
            his="her" if he == "She" else "his",
            place=rng.choice(PLACES),
            day=rng.choice(DAYS),
            color=rng.choice(COLORS),
            item=rng.choice(ITEMS),
        )
        for i, sentence in enumerate(sentences)
    )


def _order(order: str, old: str, new: str) -> str:
    """Fill the names and pronouns into an instruction."""
    she = pronoun(new).lower()
    return order.format(old=old, new=new, she=she, her="her" if she == "she" else "his")


def _change(text: str, change: tuple[str, ...], old: str, new: str) -> str:
    """Apply one change to a passage."""
    if change is SWAP:
        return _replace(text, {old: new})
    if change is GENDER:
        return _replace(text, (HERS if new in GIRLS else HIS) | {old: new})
    if change is TENSE:
        return _replace(text, PAST)
    if change is NUMBER:
        sentences = re.findall(r"[^.]+\.", text)
        return "\n".join(f"{i}. {sentence.strip()}" for i, sentence in enumerate(sentences, 1))
    return text


def _replace(text: str, words: dict[str, str]) -> str:
    """Replace whole words."""
    return re.sub(r"\w+", lambda found: words.get(found[0], found[0]), text)
