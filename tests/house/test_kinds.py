"""What a kind is like is a member of it: no room asks for the class of settings or drafters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "eagle_bench"
KINDS = ("Config", "Drafter", "Target", "TwoPass", "OnePass", "Decoder")
WHOLE = {"DictConfig", "TrackerConfig", "RunConfig", "DatasetConfig"}
"""Classes that have no kinds, so that no code can ask for one."""
THINGS = {"settings", "training", "drafter", "decoding", "target", "engine", "arm", "decoder"}
"""Names under which code holds something that has kinds."""


def kinds_of(node: ast.AST) -> Iterator[str]:
    """Which kind of settings, drafter, target or arm `node` asks for."""
    match node:
        case ast.MatchClass(cls=kind):
            yield from of_ours(kind)
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kind]):
            yield from of_ours(kind)
        case ast.Compare(ops=ops, comparators=comparators):
            for side in (node.left, *comparators):
                match side:
                    case ast.Call(func=ast.Name(id="type")):
                        yield from (kind for each in comparators for kind in of_ours(each))
                    case ast.Attribute(value=thing, attr="name") if is_one(thing) and any(
                        isinstance(op, ast.Eq | ast.NotEq) for op in ops
                    ):
                        yield ast.unparse(node)
        case ast.Call(func=ast.Name(id="hasattr" | "type"), args=[thing, *_]) if is_one(thing):
            yield ast.unparse(node)


def of_ours(node: ast.AST) -> Iterator[str]:
    names = (each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    return (name for name in names if name.endswith(KINDS) and name not in WHOLE)


def is_one(node: ast.AST) -> bool:
    return ast.unparse(node).rpartition(".")[2] in THINGS


def asked(tree: ast.AST) -> list[str]:
    """What code asks for, asserts apart."""
    sworn = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
        for part in ast.walk(node)
    }
    return [kind for node in ast.walk(tree) if id(node) not in sworn for kind in kinds_of(node)]


def test_only_build_asks_what_kind_something_is() -> None:
    found = {
        str(file.relative_to(PACKAGE)): kinds
        for file in PACKAGE.rglob("*.py")
        if file.name != "build.py" and (kinds := asked(ast.parse(file.read_text())))
    }
    assert not found


@pytest.mark.parametrize(
    "planted",
    [
        "match x:\n    case TreeConfig():\n        pass",
        "isinstance(y, A | OracleDrafter)",
        "type(y) is LeanTarget",
        "found = LeanTarget if x else type(y) == LeanTarget",
        "hasattr(self.target, 'pack')",
        "type(decoding)",
        "session.drafter.name == 'oracle'",
        "if 'oracle' != drafter.name: pass",
    ],
)
def test_the_search_finds_what_it_looks_for(planted: str) -> None:
    assert asked(ast.parse(planted))


@pytest.mark.parametrize("plain", ["isinstance(x, str)", "assert type(target) is LeanTarget"])
def test_the_search_lets_other_code_be(plain: str) -> None:
    assert not asked(ast.parse(plain))


def test_nothing_outside_models_names_the_cache() -> None:
    names = [
        node.name
        for file in PACKAGE.rglob("*.py")
        if PACKAGE / "models" not in file.parents
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.alias)
    ]
    assert "KVCache" not in names
