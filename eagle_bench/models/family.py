"""What a config says of a target before its weights load: whether the loop can run it, and how."""

from __future__ import annotations

import inspect
from typing import Any

from eagle_bench.config.values import Attention
from eagle_bench.errors import UserError


def check_family(settings: Any, *, key: str, path: str) -> None:
    """Refuse a target whose tokens the loop could not make equal to transformers' own.

    Parameters
    ----------
    settings : PretrainedConfig
        Of the checkpoint `path`, which the user gave as `key`.

    Raises
    ------
    UserError
        It is no causal language model, or not of one decoder; its cache is no keys and values
        alone, it attends in chunks or by ALiBi, or it takes no positions.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    kind = _class(settings)
    name = kind.__name__ if kind else (settings.architectures or [settings.model_type])[0]
    try:
        text = settings.get_text_config()
        assert min(text.hidden_size, text.vocab_size, text.num_hidden_layers) > 0
        layers = {type(layer) for layer in DynamicCache(config=settings).layers}
    except Exception as error:  # Whatever the settings of another class may raise.
        raise UserError(
            f"{key}={path} is a {name}, whose config.json is not that of one decoder; use a text "
            "model that AutoModelForCausalLM loads."
        ) from error
    remote = "AutoModelForCausalLM" in (getattr(settings, "auto_map", None) or {})
    if kind is None and not remote:
        raise UserError(
            f"{key}={path} is a {name}, no decoder alone, which is not supported; use a text model "
            "that AutoModelForCausalLM loads."
        )
    if getattr(kind, "_is_stateful", False) or layers - {DynamicLayer, DynamicSlidingWindowLayer}:
        raise UserError(
            f"{key}={path} is a {name}, whose cache is more than keys and values (a recurrent "
            "state, an index) and cannot be rolled back to the accepted tokens; use a target that "
            "is attention all through."
        )
    if "chunked_attention" in (getattr(text, "layer_types", None) or []):
        raise UserError(f"{key}={path} is a {name}, which attends in chunks; this is not built.")
    takes_positions = kind is None or "position_ids" in inspect.signature(kind.forward).parameters
    if not takes_positions or getattr(text, "alibi", False):
        raise UserError(
            f"{key}={path} is a {name}, which reads no position ids (ALiBi) to place the branches "
            "of a draft; use a target with rotary or learnt positions."
        )


def attention_of(settings: Any, wanted: Attention) -> tuple[Attention, tuple[str, ...]]:
    """`wanted`, or eager where the class has no sdpa, with a remark that says so."""
    kind = _class(settings)
    if wanted is not Attention.sdpa or kind is None or kind._supports_sdpa:
        return wanted, ()
    return Attention.eager, (
        f"{kind.__name__} has no sdpa attention: model.attention=eager is used.",
    )


def loader_of(theirs: Any) -> tuple[Any, tuple[str, ...]]:
    """What of transformers loads a target of its settings, with what a person should know."""
    import transformers as hf

    seeing = hf.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.get(type(theirs), None)
    if seeing is None:
        return hf.AutoModelForCausalLM, ()
    causal = hf.MODEL_FOR_CAUSAL_LM_MAPPING.get(type(theirs), None)
    said = f"{seeing.__name__} also sees images: its text decoder alone is measured."
    return (hf.AutoModelForCausalLM if causal else hf.AutoModelForImageTextToText), (said,)


def positions_of(text: Any) -> int:
    """The most positions that give equal tokens with and without a cache.

    LongRoPE turns every key by other angles once a text is longer than the original context,
    which keys in a cache are not; so the border is the end.
    """
    rope = getattr(text, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        return int(rope["original_max_position_embeddings"])
    return int(text.max_position_embeddings)


def _class(theirs: Any) -> Any:
    """transformers' language model of its own settings; None where the model is foreign to it."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    kinds = (MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING)
    found = (each.get(type(theirs), None) for each in kinds)
    return next((kind for kind in found if kind is not None), None)
