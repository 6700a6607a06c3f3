"""What a head's `config.json` may say: the keys that are read, those that cannot matter, the rest.

A key that is neither is named to the user; a value of the wrong kind is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transformers import DeepseekV3Config, LlamaConfig

from eagle_bench.errors import UserError


@dataclass(frozen=True)
class Kind:
    """A kind of value, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")


COUNT = Kind("a whole number above 0", lambda value: type(value) is int and value > 0)
INDEX = Kind("a whole number", lambda value: type(value) is int and value >= 0)
NUMBER = Kind("a number above 0", _number)
SHARE = Kind("a number above 0, at most 1", lambda value: _number(value) and value <= 1)
FLAG = Kind("true or false", lambda value: value in (True, False))
TEXT = Kind("a word", lambda value: isinstance(value, str))
WORDS = Kind(
    "a list of words",
    lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
)
IDS = Kind(
    "a list of layer numbers",
    lambda value: isinstance(value, list) and all(type(each) is int for each in value),
)
TABLE = Kind("a table", lambda value: isinstance(value, Mapping))

READ: dict[str, Kind] = {
    "architectures": WORDS,
    "hidden_size": COUNT,
    "target_hidden_size": COUNT,
    "intermediate_size": COUNT,
    "num_attention_heads": COUNT,
    "num_key_value_heads": COUNT,
    "head_dim": COUNT,
    "num_hidden_layers": COUNT,
    "vocab_size": COUNT,
    "draft_vocab_size": COUNT,
    "rms_norm_eps": NUMBER,
    "hidden_act": TEXT,
    "hidden_activation": TEXT,
    "max_position_embeddings": COUNT,
    "rope_theta": NUMBER,
    "rope_scaling": TABLE,
    "rope_parameters": TABLE,
    "rope_local_base_freq": NUMBER,
    "partial_rotary_factor": SHARE,
    "sliding_window": COUNT,
    "use_sliding_window": FLAG,
    "max_window_layers": INDEX,
    "layer_types": WORDS,
    "norm_before_residual": FLAG,
    "norm_before_fc": FLAG,
    "fc_norm": FLAG,
    "norm_output": FLAG,
    "eagle_aux_hidden_state_layer_ids": IDS,
    "target_layer_ids": IDS,
    "use_aux_hidden_state": FLAG,
    "mla_latent_dim": COUNT,
    "mla_rope_dim": INDEX,
    "q_lora_rank": COUNT,
    "kv_lora_rank": COUNT,
    "qk_nope_head_dim": COUNT,
    "qk_rope_head_dim": COUNT,
    "v_head_dim": COUNT,
    "rope_interleave": FLAG,
    "eagle_config": TABLE,
    "transformer_layer_config": TABLE,
    "speculators_model_type": TEXT,
    "mask_token_id": INDEX,
    "pard_token": INDEX,
    "ptd_token_id": INDEX,
}

IDLE = frozenset({**DeepseekV3Config().to_dict(), **LlamaConfig().to_dict()}) | {
    *("auto_map", "torch_dtype", "bias", "mla_use_kv_norm", "ttt_length", "tokenizer_class"),
    *("speculators_version", "speculators_config", "embed_requires_grad", "name_or_path"),
    *("has_no_defaults_at_init", "target_model_type", "eagle_decoder_type"),
}
"""What transformers writes into every config, biases (the tensors tell), notes of trainers."""

AS_HERE: dict[str, Any] = {
    "use_input_layernorm_in_first_layer": True,
    "use_last_layernorm": True,
    "use_mtp_layernorm": False,
    "has_lm_head": True,
    "next_layer_regular": True,
    "parallel_draft_step": 1,
}
"""Switches of ModelOpt, and where they stand in the heads that are run here."""

ROPE_TABLES = {"rope_parameters", "rope_scaling"}
CHOICES, LAYER = "eagle_config", "transformer_layer_config"
OF_CHOICES = frozenset(
    (
        *("norm_before_residual", "norm_before_fc", "fc_norm", "norm_output"),
        *("eagle_aux_hidden_state_layer_ids", "use_aux_hidden_state"),
    )
)
"""Read in `eagle_config` as well."""

OF_HEAD = OF_CHOICES | {
    *("architectures", "target_hidden_size", "draft_vocab_size", "target_layer_ids"),
    *("speculators_model_type", "mask_token_id", "pard_token", "ptd_token_id", CHOICES, LAYER),
}
"""Read at the top of the config."""

OF_LAYER = frozenset(READ) - OF_HEAD
"""Read where the layer's sizes are."""


def check_keys(config: Mapping[str, Any]) -> list[str]:
    """The keys with a value that nothing reads at their place.

    Raises
    ------
    UserError
        A value of another kind than its key takes.
    """
    _check_all_kinds(config, "")
    choices, layer = (config.get(section) or {} for section in (CHOICES, LAYER))
    _check_all_kinds(choices, f"{CHOICES}.")
    _check_all_kinds(layer, f"{LAYER}.")
    apart = "speculators_model_type" in config
    known = {**config, **(layer if apart else {})}
    return [
        *_unread(config, "", OF_HEAD if apart else OF_HEAD | OF_LAYER, layer),
        *_unread(choices, f"{CHOICES}.", OF_CHOICES, known),
        *_unread(layer, f"{LAYER}.", OF_LAYER if apart else frozenset(), known),
    ]


def _unread(
    values: Mapping[str, Any], prefix: str, read: frozenset[str], known: Mapping[str, Any]
) -> list[str]:
    """Keys of `values` that are neither `read` there nor idle nor the same in `known`."""
    idle = IDLE - OF_LAYER
    return [
        prefix + key
        for key, value in values.items()
        if value is not None
        and key not in read | idle
        and (key not in AS_HERE or AS_HERE[key] != value)
        and (key not in READ or known.get(key) != value)
    ]


def _check_all_kinds(values: Mapping[str, Any], prefix: str) -> None:
    _check_kinds(values, prefix)
    for key in ROPE_TABLES & {key for key, value in values.items() if value is not None}:
        _check_kinds(values[key], f"{prefix}{key}.")
        for kind, table in values[key].items():
            if isinstance(table, Mapping):
                _check_kinds(table, f"{prefix}{key}.{kind}.")


def _check_kinds(values: Mapping[str, Any], prefix: str) -> None:
    for key, value in values.items():
        kind = READ.get(key)
        if kind is not None and value is not None and not kind.holds(value):
            raise UserError(
                f"config.json of the head says {prefix}{key}={value!r}; it should be {kind.words}."
            )
