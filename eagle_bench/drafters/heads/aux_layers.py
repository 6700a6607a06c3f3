"""Which hidden states of the target a head was trained on, in the field's two conventions.

A layer id names the *input* of that layer (EAGLE, vLLM, speculators: `[2, L // 2, L - 3]`) or
its *output* (SpecForge, ModelOpt, SGLang's config: `[1, L // 2 - 1, L - 4]`): the same states
one apart. Inside this project it is always the input.
"""

from __future__ import annotations

from eagle_bench.drafters.heads.checkpoint import Checkpoint
from eagle_bench.drafters.heads.reading import Choice
from eagle_bench.models.target import default_aux_layers

KEY = "eagle_aux_hidden_state_layer_ids"
OUTPUTS_KEY = "target_layer_ids"
"""DeepSpec's: always layer outputs, -1 the embeddings."""


def read_aux_layers(
    checkpoint: Checkpoint, override: list[int] | None, num_layers: int | None
) -> Choice:
    """The boundaries that the override, or else the config of the head, names.

    The rule for telling the conventions apart: ids that are exactly the default of one
    convention for this target are of that convention; an id equal to the number of layers can
    only name an input; otherwise ids under `eagle_config` follow the format's own convention,
    and ids at the top of the config name inputs.
    """
    if override is not None:
        return Choice(tuple(override), "drafter.aux_layers")
    config, form = checkpoint.config, checkpoint.form
    nested = (config.get("eagle_config") or {}).get(KEY)
    outputs = config.get(OUTPUTS_KEY)
    ids = nested or config.get(KEY) or outputs
    if not ids:
        said = "config.json does not name the aux layers; the default [2, L//2, L-3] is assumed."
        why = "not in config.json: the default [2, L//2, L-3]"
        others = () if num_layers is None else _neighbours(default_aux_layers(num_layers))
        return Choice(None, why, (said,) if form.names_aux else (), others)
    where = f"eagle_config.{KEY}" if nested else KEY if config.get(KEY) else OUTPUTS_KEY
    inputs, moved = tuple(ids), tuple(i + 1 for i in ids)
    if where == OUTPUTS_KEY:
        why = f"{where}={ids}, layer outputs by that key's meaning"
        return Choice(moved, why, others=_normed(moved, num_layers))
    if num_layers is not None and default_aux_layers(num_layers) in (inputs, moved):
        kind = "input" if inputs == default_aux_layers(num_layers) else "output"
        layers, other = (inputs, moved) if kind == "input" else (moved, inputs)
        why = f"{where}={ids}, layer {kind}s by the default pattern"
        return Choice(layers, why, others=(other,))
    kind = form.aux_ids if nested else "input"
    if num_layers in ids:
        why = f"{where}={ids}, layer inputs: {num_layers} can only name a boundary"
        doubts = (f"{why}.",) if kind == "output" else ()
        return Choice(inputs, why, doubts, _normed(inputs, num_layers))
    layers, other = (inputs, moved) if kind == "input" else (moved, inputs)
    doubtful = ids[0] == (1 if kind == "input" else 2)
    doubt = (
        f"{where}={ids} is read as layer {kind}s, but its first id is the other convention's; "
        f"if acceptance is poor, set drafter.aux_layers={_shifted(ids, kind)}."
    )
    why = f"{where}={ids}, layer {kind}s by the format's convention"
    others = (other, *_normed(layers, num_layers), *_normed(other, num_layers))
    return Choice(layers, why, (doubt,) if doubtful else (), others)


def _neighbours(layers: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The same boundaries counted one lower, and one higher."""
    return tuple(tuple(each + by for each in layers) for by in (-1, 1))


def _normed(layers: tuple[int, ...], num_layers: int | None) -> tuple[tuple[int, ...], ...]:
    """The same layers with the last boundary behind the final norm, where it is among them."""
    if num_layers not in layers:
        return ()
    return (tuple(each + (each == num_layers) for each in layers),)


def _shifted(ids: list[int], kind: str) -> str:
    """The layers under the other convention, as an override is written."""
    other = [i + 1 for i in ids] if kind == "input" else ids
    return "[" + ",".join(map(str, other)) + "]"
