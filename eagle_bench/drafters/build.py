"""From settings to a drafter, and which combinations cannot work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eagle_bench import assets
from eagle_bench.config.decoding import DecodingConfig
from eagle_bench.config.drafter import (
    DFlashConfig,
    DrafterConfig,
    DraftModelConfig,
    Eagle3Config,
    OracleConfig,
    PromptLookupConfig,
    PythonConfig,
    RandomConfig,
)
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import Compile, DType, Proposal
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.errors import UserError
from eagle_bench.models.target import Target

if TYPE_CHECKING:
    from eagle_bench.drafters.heads.head import EagleHead
    from eagle_bench.drafters.heads.load import LoadedHead
    from eagle_bench.drafters.heads.reading import HeadReading


@dataclass
class BuiltDrafter:
    """A drafter with what its loader understood (plain data, empty for those without).

    Attributes
    ----------
    max_positions : int or None
        The most tokens of context that a draft model was made for.
    levels : int or None
        The most levels that it drafts, where one pass gives them all.
    preflight : dict or None
        What `measure/probe/preflight.py` found, once it was asked.
    adopted : BuiltDrafter or None
        The same head under the reading that was found better, if one was taken.
    head : EagleHead or None
        The head that drafts, where one does.
    """

    drafter: Drafter
    report: dict[str, Any] = field(default_factory=dict)
    max_positions: int | None = None
    levels: int | None = None
    preflight: dict[str, Any] | None = None
    adopted: BuiltDrafter | None = None
    head: EagleHead | None = None


def check_combination(config: RunConfig) -> None:
    """Refuse, before anything is loaded, what no run can do.

    Raises
    ------
    UserError
    """
    drafter, decoding = config.drafter, config.decoding
    if decoding.width > 1 and not drafter.branches:
        raise UserError(
            f"drafter={drafter.name} knows one continuation, which decoding={decoding.name} "
            "cannot branch; use decoding=chain or decoding=adaptive."
        )
    if drafter.greedy_only and config.temperature > 0:
        raise UserError(
            f"drafter={drafter.name} replays the recorded greedy baseline; use temperature=0."
        )
    if config.compile is Compile.draft and not drafter.is_head:
        raise UserError(
            f"compile=draft compiles an EAGLE head's levels, which drafter={drafter.name} has not; "
            "use compile=off."
        )
    if not decoding.cached:
        if not drafter.is_head:
            raise UserError(
                f"decoding={decoding.name} needs an EAGLE head: drafter=eagle3 or embedded."
            )
        if config.temperature > 0 or config.batch_size > 1:
            raise UserError(
                f"decoding={decoding.name} is greedy and takes one prompt at a time; use "
                "temperature=0 and batch_size=1, or decoding=chain."
            )
    if decoding.proposal is Proposal.sample:
        if decoding.prunes:
            raise UserError(
                f"decoding={decoding.name} keeps its best candidates, which would bias drawn "
                "ones; use decoding.proposal=greedy, or decoding=chain or static_tree."
            )
        if not drafter.branches:
            raise UserError(f"drafter={drafter.name} has no distribution to draw from.")


def build_drafter(
    config: DrafterConfig,
    decoding: DecodingConfig,
    target: Target,
    dtype: DType,
    compile: Compile = Compile.off,
) -> BuiltDrafter:
    """Load what `config` names for `target`.

    Raises
    ------
    UserError
        No such checkpoint, or it does not fit the target or the decoding method.
    """
    device = target.spec.device
    match config:
        case Eagle3Config():
            return _eagle3(config, decoding, target, compile)
        case DFlashConfig():
            return _dflash(config, decoding, target)
        case PromptLookupConfig():
            from eagle_bench.drafters.prompt_lookup import PromptLookupDrafter

            return BuiltDrafter(PromptLookupDrafter(config.max_ngram, config.min_ngram, device))
        case DraftModelConfig():
            return _draft_model(config, target, dtype)
        case OracleConfig():
            from eagle_bench.drafters.oracle import OracleDrafter

            return BuiltDrafter(OracleDrafter(device))
        case RandomConfig():
            from eagle_bench.drafters.random import RandomDrafter

            return BuiltDrafter(RandomDrafter(target.spec.vocab_size, config.seed, device))
        case PythonConfig():
            from eagle_bench.drafters.python import named_drafter

            return BuiltDrafter(named_drafter(config, target))
    raise AssertionError(f"no drafter is built from {type(config).__name__}")


def check_head(config: DrafterConfig, model: ModelConfig) -> None:
    """Refuse an EAGLE head that does not fit the target's config, before that target loads.

    Raises
    ------
    UserError
        No such head or target, or they do not fit.
    """
    from eagle_bench.models.load import target_shape

    match config:
        case Eagle3Config():
            from eagle_bench.drafters.heads.load import load_head

            load_head(config, target_shape(model))
        case DFlashConfig():
            from eagle_bench.drafters.heads.dflash import load_dflash

            load_dflash(config, target_shape(model))


def load_eagle_head(config: Eagle3Config, target: Target) -> LoadedHead:
    """The head ready to run beside `target`, which is told what features it reads.

    Raises
    ------
    UserError
        No such head, or it does not fit the target.
    """
    from eagle_bench.drafters.heads.load import load_head

    def embed(ids: Tensor) -> Tensor:
        return target.embed(ids.to(target.spec.device)).cpu()

    loaded = load_head(config, target.spec, embed)
    head = loaded.head.to(device=target.spec.device, dtype=target.spec.dtype).freeze()
    if head.lm_head is None:
        head.attach_lm_head(target.lm_head)
    target.set_aux_layers(loaded.config.features_of(target.spec.num_layers))
    return loaded


def _eagle3(
    config: Eagle3Config, decoding: DecodingConfig, target: Target, compile: Compile
) -> BuiltDrafter:
    loaded = load_eagle_head(config, target)
    if decoding.width > loaded.config.draft_vocab_size:
        raise UserError(
            f"decoding asks for {decoding.width} children of a node; the head's draft vocabulary "
            f"has only {loaded.config.draft_vocab_size} tokens."
        )
    return _drafting(loaded.head, loaded.report.plain(), decoding, target, compile)


def _drafting(
    head: EagleHead,
    report: dict[str, Any],
    decoding: DecodingConfig,
    target: Target,
    compile: Compile,
) -> BuiltDrafter:
    from eagle_bench.drafters.eagle3 import Eagle3Drafter

    if head.config.mask_token is not None:
        from eagle_bench.drafters.p_eagle import PEagleDrafter

        at_once = PEagleDrafter(head, target, decoding.levels)
        return BuiltDrafter(at_once, report, levels=decoding.levels, head=head)
    if compile is Compile.off:
        return BuiltDrafter(Eagle3Drafter(head, target, "eagle3"), report, head=head)
    from eagle_bench.drafters.compiled_eagle3 import CompiledEagle3Drafter
    from eagle_bench.drafters.heads.compiled import compile_levels

    vocabulary = torch.arange(target.spec.vocab_size, device=target.spec.device)
    own = head.embed_tokens
    embeddings = target.embed(vocabulary) if own is None else own.weight
    levels = compile_levels(head, embeddings, decoding.width, target.spec.max_positions)
    drafter = CompiledEagle3Drafter(head, target, "eagle3", levels)
    return BuiltDrafter(drafter, report | {"compile_s": levels.compile_s}, head=head)


def _dflash(config: DFlashConfig, decoding: DecodingConfig, target: Target) -> BuiltDrafter:
    from eagle_bench.drafters.dflash import DFlashDrafter
    from eagle_bench.drafters.heads.dflash import load_dflash

    head = load_dflash(config, target.spec)
    block = head.config
    if decoding.levels > block.levels:
        raise UserError(
            f"decoding={decoding.name} drafts {decoding.levels} levels, but a block of the head "
            f"has {block.levels}; lower it."
        )
    target.set_aux_layers(block.aux_layers)
    head.to(device=target.spec.device, dtype=target.spec.dtype)
    parameters = sum(weight.numel() for weight in head.parameters())
    report = {
        "parameters": parameters,
        "block_size": block.block_size,
        "mask_token": block.mask_token,
        "aux_layers": list(block.aux_layers),
    }
    return BuiltDrafter(DFlashDrafter(head, target), report, levels=block.levels)


def read_otherwise(
    built: BuiltDrafter,
    reading: HeadReading,
    decoding: DecodingConfig,
    target: Target,
    compile: Compile,
) -> BuiltDrafter:
    """The EAGLE head of `built` under another reading; its weights are shared."""
    assert built.head is not None
    head = built.head.variant(reading).freeze()
    return _drafting(head, built.report, decoding, target, compile)


def _draft_model(config: DraftModelConfig, target: Target, dtype: DType) -> BuiltDrafter:
    from eagle_bench.drafters.draft_model import DraftModelDrafter
    from eagle_bench.drafters.shared_tokens import check_tokens
    from eagle_bench.models.load import load_model

    model = load_model(
        ModelConfig(
            name="draft_model",
            path=config.path or str(assets.DRAFT_MODEL),
            trust_remote_code=config.trust_remote_code,
        ),
        dtype,
        target.spec.device,
        key="drafter.path",
    )
    warnings = [*model.spec.remarks, *check_tokens(model, target)]
    drafter = DraftModelDrafter(model, target.spec.vocab_size)
    report = {"parameters": model.spec.parameters, "warnings": warnings}
    return BuiltDrafter(drafter, report, max_positions=model.spec.max_positions)
