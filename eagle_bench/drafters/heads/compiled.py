"""Levels of a head's draft, compiled ahead of time and kept for this machine.

AOTInductor makes one call of what eager PyTorch does in some hundred operations. A level is
compiled once for a head's config, its shapes and this machine's torch, processor and threads;
weights are no part of what is kept, so heads of one shape share it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.levels import LEVELS, ROWS, FirstLevel, NextLevel
from eagle_bench.errors import UserError

EXAMPLE_ENTRIES, MOST_ENTRIES = 64, 2**20
STEP = 8
"""Capacities are multiples of it, as the kernels of an attention want masks to be."""


@dataclass(frozen=True)
class Level:
    """Compiled code, and the weights that it reads where they are."""

    code: Any
    weights: dict[str, Tensor]

    def __call__(self, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        """As the level's `forward`, for arguments without gaps in memory."""
        return self.code(*arguments)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class CompiledLevels:
    """Both levels of a draft whose nodes each get `k` children.

    Attributes
    ----------
    compile_s : float
        Seconds that it took to compile them, or to find them compiled.
    """

    first: Callable[..., tuple[Tensor, Tensor, Tensor]]
    next: Callable[..., tuple[Tensor, Tensor, Tensor]]
    k: int
    compile_s: float


def compile_levels(head: EagleHead, embeddings: Tensor, k: int, room: int) -> CompiledLevels:
    """Compile the levels of `head`, or load them where this machine has compiled them before.

    Parameters
    ----------
    embeddings : Tensor
        `[vocab, hidden]`, what drafted tokens are looked up in.
    room : int
        The most positions of the target.

    Raises
    ------
    UserError
        The head is not on a CPU, there is no C++ compiler, or it cannot be compiled.
    """
    if embeddings.device.type != "cpu":
        raise UserError("compile=draft is built for a CPU; use compile=off on a GPU.")
    if head.config.deepseek is not None:
        raise UserError(
            "compile=draft is not built for DeepSeek's latent attention; use compile=off."
        )
    start_s = time.perf_counter()
    config, dtype = head.config, embeddings.dtype
    plain = head.traceable()
    entries = tuple(
        torch.zeros(1, config.num_kv_heads, EXAMPLE_ENTRIES, config.head_dim, dtype=dtype)
        for _ in range(2 * config.num_layers)
    )
    place = torch.tensor([STEP, 1])
    width = config.num_features * config.target_hidden_size
    if config.generation != 3:
        width = config.hidden_size
    shapes = (head.config, embeddings.shape, dtype, room, k)
    fed = torch.zeros(1, ROWS, dtype=torch.int64), torch.zeros(1, ROWS, width, dtype=dtype)
    first = _compiled(FirstLevel(plain, embeddings, 1, k, room), (*fed, place, entries), shapes)
    node = torch.zeros(1, k, dtype=torch.int64), torch.zeros(1, k, config.hidden_size, dtype=dtype)
    visible = torch.eye(k, LEVELS * k, dtype=torch.bool)[None]
    next_ = _compiled(
        NextLevel(plain, embeddings, k, k, room), (*node, visible, place, entries), shapes
    )
    return CompiledLevels(first, next_, k, time.perf_counter() - start_s)


def _compiled(level: FirstLevel | NextLevel, example: tuple[Any, ...], shapes: Any) -> Level:
    """`level`, whose last argument's entries may be of any capacity that `STEP` divides."""
    from torch._inductor import aoti_load_package
    from torch.export import Dim

    file = _folder() / f"{_key(level, shapes)}.pt2"
    capacity = STEP * Dim("capacity", min=2, max=MOST_ENTRIES // STEP)
    moving = (*[None] * (len(example) - 1), tuple({2: capacity} for _ in example[-1]))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if not file.exists():
            _compile(level, example, moving, file)
        loaded = aoti_load_package(str(file))
        held = level.state_dict()
        weights = {name: held[name].contiguous() for name in loaded.get_constant_fqns()}
        loaded.load_constants(weights, check_full_update=True, user_managed=True)
        _check(loaded, level, example)
    return Level(loaded, weights)


def _compile(level: FirstLevel | NextLevel, example: Any, moving: Any, file: Path) -> None:
    from torch._inductor import aoti_compile_and_package
    from torch.export import export

    part = file.with_suffix(f".{os.getpid()}.pt2")
    try:
        program = export(level, example, dynamic_shapes=moving)
        aoti_compile_and_package(
            program,
            package_path=str(part),
            inductor_configs={"aot_inductor.package_constants_in_so": False},
        )
        part.replace(file)
    except Exception as error:
        if "CxxCompiler" in f"{type(error).__name__} {error}":
            raise UserError(
                "compile=draft needs a C++ compiler (g++ or clang++), and there is none here; "
                "install one or use compile=off."
            ) from error
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(
            f"compile=draft: this head cannot be compiled ({reason}); use compile=off."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _check(loaded: Any, level: FirstLevel | NextLevel, example: tuple[Any, ...]) -> None:
    """Refuse compiled code that says something else than `level` does."""
    exact = level.embeddings.dtype is torch.float32
    expected, actual = level(*example)[0].float(), loaded(*example)[0].float()
    apart = (actual - expected).abs().max() / expected.abs().max().clamp(min=1e-6)
    if float(apart) > (1e-3 if exact else 0.1):
        raise UserError(
            f"compile=draft gives other states than the head itself (relative difference "
            f"{float(apart):.2g}); use compile=off."
        )


def _folder() -> Path:
    """Where this user's compiled levels are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base).expanduser() / "eagle_bench" / "levels"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _key(level: FirstLevel | NextLevel, shapes: Any) -> str:
    """What the code of a compiled level depends on, as 32 hexadecimal digits."""
    machine = (
        torch.__version__,
        torch.backends.cpu.get_cpu_capability(),
        platform.machine(),
        torch.get_num_threads(),
    )
    told = repr((type(level).__name__, ROWS, LEVELS, machine, shapes))
    return hashlib.sha256(told.encode()).hexdigest()[:32]
