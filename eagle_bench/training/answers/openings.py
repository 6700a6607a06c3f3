"""How user turns begin, by group: the model itself writes how they go on."""

from __future__ import annotations

from random import Random

NAMES = (
    "Anna Ben Carla David Ella Felix Grace Henry Ivy Jack Kate Leo Maria Noah Olga Paul Rosa Sam "
    "Tina Victor Wendy Yusuf Zoe"
).split()
THINGS = (
    "apples books marbles stickers cookies coins pencils tickets eggs flowers cards oranges bottles"
).split()

CHAT = (
    "",
    "Write a short story about",
    "Write a persuasive email to",
    "Write a Python function that",
    "Write a poem about",
    "Explain to a child why",
    "Explain the difference between",
    "Imagine you are",
    "Act as",
    "I want you to play the role of",
    "Compare and contrast",
    "Describe a scene in which",
    "Give me five ideas for",
    "List the steps to",
    "Help me plan",
    "Draft an outline for",
    "How does",
    "How can I",
    "What are the pros and cons of",
    "What would happen if",
    "Solve for x:",
    "Given the following data, find",
    "Extract the names and dates from this text:",
    "Classify the following reviews as positive or negative:",
    "Edit the following paragraph for grammar:",
    "Implement an algorithm in C++ that",
    "Suppose that",
    "Suggest",
    "Could you",
    "Discuss the causes of",
    "Create a table of",
    "Is it true that",
)

QUESTIONS = (
    "who wrote",
    "who sang",
    "who plays",
    "who was the first",
    "who invented",
    "who won the",
    "when did",
    "when was",
    "when is the",
    "when does",
    "where is",
    "where was",
    "where does",
    "where did the",
    "what is the",
    "what is the name of",
    "what year",
    "what does",
    "what kind of",
    "which country",
    "how many",
    "how long",
    "how old",
    "how much",
    "why did",
    "why is",
    "what was the purpose of",
    "who is the president of",
    "what are the",
    "how do",
)

GERMAN = (
    "Der",
    "Die",
    "Das",
    "Ein",
    "Eine",
    "In der",
    "Im",
    "Am",
    "Nach",
    "Seit",
    "Mit",
    "Für",
    "Auch",
    "Es",
    "Er sagte ,",
    "Sie",
    "Wir",
    "Ich",
    "Man",
    "Wenn",
    "Aber",
    "Doch",
    "Bei",
    "Zwei",
    "Drei",
    "Viele Menschen",
    "Die Regierung",
    "Der Präsident",
    "Die Polizei",
    "Die Stadt",
    "Der Minister",
    "Die Kinder",
    "Das Unternehmen",
    "Die Europäische Union",
    "In Deutschland",
    "In Berlin",
    "Am Montag",
    "Am vergangenen Freitag",
    "Nach Angaben",
    "Laut",
    "Der Verein",
    "Die Mannschaft",
    "Das Gericht",
    "Die Bank",
    "Der Film",
    "Die Studie",
    "Wissenschaftler",
    "Frau",
    "Herr",
    "Vor",
    "Bis",
    "Insgesamt",
    "Dabei",
    "Deshalb",
    "„ Wir",
    "Zudem",
    "Mehr als",
    "Rund",
    "Trotz",
    "Während",
)

REPORTS = (
    "Write a news report about a",
    "Write a newspaper article about the trial of a man who",
    "Write a news story about a family that",
    "Write a match report about the game between",
    "Write a newspaper article about the election in",
    "Write an article about a celebrity who",
    "Write a news article about a storm in",
    "Write a newspaper story about a woman who",
    "Write a report about a company that",
    "Write a news story about scientists who",
    "Write an encyclopedia article about the history of",
    "Write an encyclopedia entry about the river",
    "Write an encyclopedia entry about the film",
    "Write an encyclopedia article about the band",
    "Write an encyclopedia entry about the city of",
    "Write an encyclopedia article about the theory of",
    "Write a textbook passage about",
    "Write a biography of the scientist",
    "Write an encyclopedia entry about the war between",
    "Write an encyclopedia entry about the animal",
)

SUMS = (
    "{name} has {n} {things}.",
    "{name} buys {n} {things} for",
    "{name} and {other} share {n} {things}.",
    "{name} earns ${n} an hour and",
    "{name} is {n} years old.",
    "A shop sells {things} for ${n} each.",
    "There are {n} {things} in a box.",
    "A train travels {n} miles",
    "{name} reads {n} pages a day.",
    "A class has {n} students.",
    "{name} bakes {n} {things} and",
    "A farmer has {n} cows and",
    "{name} drives {n} miles to work.",
    "It takes {name} {n} minutes to",
    "{name} wants to save ${n}.",
    "Half of the {n} {things} that {name} has",
    "{name} collects {n} {things} every week.",
    "A recipe needs {n} cups of flour.",
    "{name} ran {n} kilometers on Monday and",
    "A tank holds {n} gallons of water.",
)


def opening(group: str, random: Random) -> str:
    """How a turn of the group begins."""
    if group == "translation":
        return "Translate German to English: " + random.choice(GERMAN)
    if group == "mathematics":
        name, other = random.sample(NAMES, 2)
        return random.choice(SUMS).format(
            name=name, other=other, n=random.randint(2, 90), things=random.choice(THINGS)
        )
    return random.choice(QUESTIONS if group == "questions" else CHAT)
