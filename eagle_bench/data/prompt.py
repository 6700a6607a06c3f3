"""What every prompt becomes, whatever file it came from."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Prompt:
    """One prompt of a set.

    `turns` are the user's messages in order; `system` precedes them when the file had one.
    `reference` is the answer the file gave, one per turn, when it gave any. `where` is the row's
    file and line.
    """

    id: str
    category: str
    turns: tuple[str, ...]
    reference: tuple[str, ...] = ()
    system: str | None = None
    where: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"prompt {self.id} ({self.where})" if self.where else f"prompt {self.id}"


@dataclass(frozen=True)
class PromptSet:
    """Prompts with what a reader of the results must know of their origin.

    `behind` are the file's prompts behind the last one, where these are joined to a length.
    """

    name: str
    prompts: tuple[Prompt, ...]
    sha256: str
    skipped: dict[str, int]
    behind: tuple[Prompt, ...] = ()
