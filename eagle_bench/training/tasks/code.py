"""Small Python functions with a docstring and worked examples."""

import ast
import random
from dataclasses import dataclass

from eagle_bench.training.tasks.task import Task
from eagle_bench.training.tasks.words import ITEMS

LEADS = (
    "Write a Python function {name} that {purpose}.",
    "I need a Python function {name}. It {purpose}.",
    "Make a function in Python that {purpose}. The name is {name}.",
    "Please write Python code for {name}, which {purpose}.",
)
TESTS = ("Test it with {inputs}.", "Show it for {inputs}.", "Use {inputs} to test it.")


@dataclass(frozen=True)
class Template:
    """A function to write: `{item}` and `{n}` are filled in."""

    name: str
    purpose: str
    body: str
    inputs: str = "list"
    arg: str = "{item}s"


def _loop(start: str, test: str, action: str) -> str:
    """The body of a function that acts on the values which pass a test."""
    result = start.partition(" ")[0]
    return (
        f"{start}\nfor value in {{item}}s:\n    if value {test}:\n        {action}\nreturn {result}"
    )


def _keep(test: str) -> str:
    """The body of a filter."""
    return _loop("result = []", test, "result.append(value)")


def _tally(test: str) -> str:
    """The body of a counter."""
    return _loop("count = 0", test, "count = count + 1")


def _best(test: str) -> str:
    """The body of a search for the best value."""
    return _loop("result = {item}s[0]", f"{test} result", "result = value")


def _choose(test: str, yes: str, no: str) -> str:
    """The body of a two-way choice."""
    return f"if {{item}}s {test} {{n}}:\n    return {yes}\nreturn {no}"


HAS = "for value in {item}s:\n    if value == {n}:\n        return True\nreturn False"
STEPS = """result = []
for value in range(0, {item}s + 1, {n}):
    result.append(value)
return result"""
LETTERS = """count = 0
for letter in word:
    if letter == "e":
        count = count + 1
return count"""
TEMPLATES = (
    Template("keep_large_{item}s", "keeps the numbers greater than {n}", _keep("> {n}")),
    Template("keep_small_{item}s", "keeps the numbers less than {n}", _keep("< {n}")),
    Template("keep_other_{item}s", "keeps the numbers not equal to {n}", _keep("!= {n}")),
    Template("count_large_{item}s", "counts the numbers greater than {n}", _tally("> {n}")),
    Template("count_small_{item}s", "counts the numbers less than {n}", _tally("< {n}")),
    Template("count_{item}s", "counts the numbers equal to {n}", _tally("== {n}")),
    Template("find_{item}s", "tells if {n} is in the list", HAS),
    Template("largest_{item}", "finds the largest number of a list", _best(">")),
    Template("smallest_{item}", "finds the smallest number of a list", _best("<")),
    Template("first_{item}s", "gives the first {n} of a list", "return {item}s[:{n}]"),
    Template("more_{item}s", "adds {n} to a number", "return {item}s + {n}", "number"),
    Template(
        "many_{item}s",
        "tells if a number is greater than {n}",
        _choose(">", "True", "False"),
        "number",
    ),
    Template(
        "few_{item}s",
        "tells if a number is less than {n}",
        _choose("<", "True", "False"),
        "number",
    ),
    Template(
        "limit_{item}s",
        "limits a number to {n} or less",
        _choose(">", "{n}", "{item}s"),
        "number",
    ),
    Template(
        "steps_of_{item}s",
        "lists the numbers from 0 to a limit in steps of {n}",
        STEPS,
        "number",
    ),
    Template("{item}_days", "turns weeks into days", "return weeks * 7", "small", "weeks"),
    Template("{item}_months", "turns years into months", "return years * 12", "small", "years"),
    Template("{item}_letters", 'counts the letter "e" in a word', LETTERS, "word", "word"),
)


def make(rng: random.Random) -> Task:
    """Draw one function to write, sometimes two, rarely three."""
    count = rng.choices((1, 2, 3), (4, 3, 3))[0]
    prompts, answers = zip(
        *(_function(template, rng) for template in rng.sample(TEMPLATES, count)), strict=True
    )
    return Task("code", ("\n".join(prompts),), ("\n\n\n".join(answers),))


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether the answer is the same program, layout and docstrings apart."""
    try:
        return _program(answer) == _program(task.answers[turn])
    except (SyntaxError, ValueError, RecursionError):
        return False


def _function(template: Template, rng: random.Random) -> tuple[str, str]:
    """Draw a request and the code that answers it."""
    item = rng.choice(ITEMS)
    n = rng.randint(2, 40)
    if template.name.startswith("first"):
        n = rng.randint(1, 3)
    elif template.name.startswith("steps"):
        n = rng.randint(2, 9)
    name, purpose, arg, body = (
        part.format(item=item, n=n)
        for part in (template.name, template.purpose, template.arg, template.body)
    )
    inputs = sorted({_input(template.inputs, n, rng) for _ in range(3)})
    prompt = rng.choice(LEADS).format(name=name, purpose=purpose)
    request = rng.choice(TESTS).format(inputs=" and ".join(inputs))
    lines = (f'"""{purpose.capitalize()}."""', *body.split("\n"))
    source = "\n".join((f"def {name}({arg}):", *(f"    {line}" for line in lines)))
    scope: dict[str, object] = {}
    exec(source, scope)  # our own template, run to state its results truthfully
    asserts = (f"assert {name}({i}) == {eval(f'{name}({i})', scope)!r}" for i in inputs)
    return f"{prompt} {request}", "\n".join((source, "", "", *asserts)).replace("'", '"')


def _input(kind: str, n: int, rng: random.Random) -> str:
    """Draw an argument as source text."""
    match kind:
        case "list":
            return str([*(rng.randint(1, 50) for _ in range(rng.randint(1, 3))), n])
        case "number":
            return str(rng.randint(1, 50))
        case "small":
            return str(rng.randint(1, 9))
    return f'"{rng.choice(ITEMS)}"'


def _program(source: str) -> str:
    """The syntax tree of a program without its docstrings."""
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)
