"""What a kind is like is a member of it: no room asks for the class of settings or drafters."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "eagle_bench"
ROOMS = ("engines", "decoding", "drafters", "models", "measure", "results", "figures", "records")
KINDS = ("Config", "Drafter", "Target", "TwoPass", "OnePass", "Decoder")
WHOLE = {"DictConfig", "TrackerConfig", "RunConfig", "DatasetConfig"}


def asked(tree: ast.AST) -> list[str]:
    """Kinds of settings, drafters, targets and arms that code asks for, asserts apart."""
    sworn = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
        for part in ast.walk(node)
    }
    names: list[str] = []
    for node in (node for node in ast.walk(tree) if id(node) not in sworn):
        if isinstance(node, ast.MatchClass):
            names.append(ast.unparse(node.cls))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            names += ast.unparse(node.args[1]).replace("(", " ").replace(")", " ").split()
        elif isinstance(node, ast.Compare) and "type(" in ast.unparse(node.left):
            names += [ast.unparse(each) for each in node.comparators]
    plain = [name.strip(",|") for name in names]
    return [name for name in plain if name.endswith(KINDS) and name not in WHOLE]


def test_only_build_asks_what_kind_something_is() -> None:
    found = {
        str(file.relative_to(PACKAGE)): kinds
        for room in ROOMS
        for file in (PACKAGE / room).rglob("*.py")
        if file.name != "build.py" and (kinds := asked(ast.parse(file.read_text())))
    }
    assert not found


def test_the_search_finds_what_it_looks_for() -> None:
    planted = "match x:\n    case TreeConfig():\n        pass\nisinstance(y, A | OracleDrafter)"
    assert sorted(asked(ast.parse(planted))) == ["OracleDrafter", "TreeConfig"]


def test_nothing_outside_models_names_the_cache() -> None:
    rooms = [room for room in ROOMS if room != "models"]
    files = [file for room in rooms for file in (PACKAGE / room).rglob("*.py")]
    names = [
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.alias)
    ]
    assert "KVCache" not in names
