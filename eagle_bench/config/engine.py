"""The group `engine`: what runs target and drafter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from omegaconf import MISSING

from eagle_bench.errors import UserError


@dataclass
class EngineConfig:
    """eagle_bench's own loop, and what every other engine replaces.

    Attributes
    ----------
    inside : bool
        Whether it runs in this process, where its parts can be timed and its memory seen.
    goes_on : bool
        Whether it can emit the end token and go on behind it.
    """

    inside: ClassVar[bool] = True
    goes_on: ClassVar[bool] = True

    name: str = MISSING

    @property
    def running(self) -> tuple[str, str] | None:
        """The URLs of the user's servers, without drafts and with them; None: we start ours."""
        return None


@dataclass
class ServedConfig(EngineConfig):
    """An engine behind HTTP: two servers that differ in drafting alone.

    Attributes
    ----------
    url, baseline_url : str or None
        The user's running servers, with drafts and without.
    model : str or None
        The name under which they serve the target; None takes the only one.
    key_env : str or None
        The environment variable that holds the key to them, which is sent as a bearer token.
    timeout_s : float
        The longest wait for one answer.
    """

    inside: ClassVar[bool] = False

    url: str | None = None
    baseline_url: str | None = None
    model: str | None = None
    key_env: str | None = None
    timeout_s: float = 600.0

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise UserError(f"engine.timeout_s={self.timeout_s} must be more than 0.")
        if (self.url is None) is not (self.baseline_url is None):
            raise UserError(
                "engine.url (with drafts) and engine.baseline_url (without) go together: a speedup "
                "needs both arms in the same engine."
            )

    @property
    def running(self) -> tuple[str, str] | None:
        if self.url is None or self.baseline_url is None:
            return None
        return self.baseline_url, self.url


@dataclass
class LlamaCppConfig(ServedConfig):
    """llama.cpp's server with the pair as GGUF, once with drafts and once without."""

    goes_on: ClassVar[bool] = False


@dataclass
class VllmConfig(ServedConfig):
    """vLLM: the user's running servers, or two that are started on the CPU.

    Attributes
    ----------
    python : str or None
        The Python of the environment that holds vLLM; None: ours.
    """

    python: str | None = None


@dataclass
class SGLangConfig(ServedConfig):
    """SGLang's running servers; never run against the engine itself."""


@dataclass
class OpenAIConfig(ServedConfig):
    """Running servers with OpenAI's completions, whatever engine is behind them."""

    goes_on: ClassVar[bool] = False


ENGINES: dict[str, type[EngineConfig]] = {
    "own": EngineConfig,
    "llama_cpp": LlamaCppConfig,
    "vllm": VllmConfig,
    "sglang": SGLangConfig,
    "openai": OpenAIConfig,
}
