"""`compile=draft`: the levels of a head as one compiled call each."""

from __future__ import annotations

import pytest
import tiny_world as world
import torch
from tiny_models import WIDTH

from eagle_bench.drafters.compiled_eagle3 import CompiledEagle3Drafter
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.drafters.heads import compiled
from eagle_bench.drafters.heads.compiled import CompiledLevels, compile_levels
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.levels import FirstLevel, NextLevel
from eagle_bench.errors import UserError
from eagle_bench.records.generation import Request

EMBEDDINGS, ROOM = world.target()._embedding, world.target().spec.max_positions


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.alone
def test_compiled_once_it_drafts_the_same_and_serves_other_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The level that a draft spends its time in; the first one is compiled by the same lines."""
    made = compiled_next(world.random_head())
    monkeypatch.setattr(compiled, "_compile", None)
    found = compiled_next(world.fitted_head())
    for head, level in ((world.random_head(), made), (world.fitted_head(), found)):
        first = FirstLevel(head.traceable(), EMBEDDINGS, 1, 1, ROOM)
        levels = CompiledLevels(first, level, 1, 0.0)
        arms = (
            CompiledEagle3Drafter(head, world.target(), "compiled", levels),
            Eagle3Drafter(head, world.target()),
        )
        for prompt in (world.prompt_of(3, 9), world.prompt_of(4, 2), world.prompt_of(5, 1)):
            ours, eager = (drafts(by, prompt) for by in arms)
            assert ours == eager


def compiled_next(head: EagleHead) -> compiled.Level:
    entries = tuple(torch.zeros(1, 2, 64, 8) for _ in range(2))
    visible = torch.eye(1, compiled.LEVELS, dtype=torch.bool)[None]
    node = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1, WIDTH)
    level = NextLevel(head.traceable(), EMBEDDINGS, 1, 1, ROOM)
    return compiled._compiled(level, (*node, visible, torch.tensor([8, 1]), entries), "tiny")


def drafts(drafter: Eagle3Drafter, prompt: list[int]) -> tuple[list[int], list[int]]:
    decoder = world.arm(world.target(), drafter, "chain4")
    [generation] = decoder.generate([Request("", prompt, 24)])
    assert generation.tokens == world.baseline(prompt, 24)
    return generation.tokens, generation.accept_lengths


def test_a_machine_without_a_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor

    class InvalidCxxCompiler(RuntimeError):
        pass

    def missing(*_: object, **__: object) -> None:
        raise InvalidCxxCompiler("No working C++ compiler found")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", missing)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler"):
        compile_levels(world.random_head(), EMBEDDINGS, 1, ROOM)


def test_code_that_says_something_else_is_refused() -> None:
    level = world.by_levels(1)._levels.first
    place = torch.tensor([8, 1])
    entries = tuple(torch.zeros(1, 2, 64, 8) for _ in range(2))
    fed = torch.zeros(1, compiled.ROWS, dtype=torch.int64), torch.zeros(1, compiled.ROWS, 96)
    example = (*fed, place, entries)
    with torch.no_grad():
        compiled._check(level, level, example)  # type: ignore[arg-type]
    with torch.no_grad(), pytest.raises(UserError, match="other states"):
        compiled._check(lambda *_: (level(*example)[0] + 1,), level, example)  # type: ignore[arg-type]
