"""Any decoder that transformers loads, run by its own modelling code.

Features come from forward pre-hooks on the decoder layers, so no modelling code is copied;
rollback and tree masks come from our `KVCache` and explicit attention masks.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from eagle_bench.errors import UserError
from eagle_bench.models.cache import KVCache, attention_state
from eagle_bench.models.mask import within_window
from eagle_bench.models.strides import with_own_strides
from eagle_bench.models.target import Step, TargetSpec


def decoder_layers(model: Any) -> nn.ModuleList:
    """The list of decoder layers of a transformers causal LM, whatever its name.

    Raises
    ------
    UserError
        Its layers are no one list.
    """
    count = model.config.get_text_config().num_hidden_layers
    for each in model.get_decoder().modules():
        if isinstance(each, nn.ModuleList) and len(each) == count:
            return each
    raise UserError(
        f"{type(model).__name__} holds its {count} layers in no one list; use a family that "
        "docs/targets.md names."
    )


def _own_strides(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """transformers hands the last position's state to the output head as a slice."""
    return (with_own_strides(args[0]), *args[1:])


class TransformersTarget:
    """Runs `model(...)` as transformers wrote it."""

    def __init__(self, model: Any, tokenizer: Any, spec: TargetSpec) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.spec = spec
        config = model.config.get_text_config()
        self._attention = config._attn_implementation
        self._layer_types = set(getattr(config, "layer_types", None) or ["full_attention"])
        self._window: int | None = getattr(config, "sliding_window", None)
        if getattr(config, "layer_types", None) is None and self._window is not None:
            self._layer_types = {"sliding_attention"}
        self._taken: dict[int, Tensor] = {}
        self._hooks: list[Any] = []
        self.lm_head.register_forward_pre_hook(_own_strides)
        self.set_aux_layers(spec.aux_layers)

    def set_aux_layers(self, layers: tuple[int, ...]) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = [self._hook(index) for index in layers]
        self.spec = replace(self.spec, aux_layers=tuple(layers))

    def _hook(self, index: int) -> Any:
        """Take boundary `index` in each pass: a layer's input, the last one's output, or normed."""
        modules = decoder_layers(self.model)

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._taken[index] = args[0] if args else kwargs["hidden_states"]

        def behind(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            self._taken[index] = output if isinstance(output, Tensor) else output[0]

        if index < len(modules):
            return modules[index].register_forward_pre_hook(before, with_kwargs=True)
        last = modules[-1] if index == len(modules) else self.model.get_decoder()
        return last.register_forward_hook(behind)

    @torch.inference_mode()
    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        cache: KVCache,
        *,
        features: bool,
        last_only: bool = False,
    ) -> Step:
        q = tokens.shape[1]
        with self._compilation():
            output = self.model(
                input_ids=tokens,
                position_ids=positions,
                attention_mask=self._mask(mask, q, cache, tokens.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1 if last_only else 0,
            )
        cache.advance(q)
        if not features:
            return Step(output.logits, None)
        taken = [self._taken[index].to(tokens.device) for index in self.spec.aux_layers]
        return Step(output.logits, torch.cat(taken, dim=-1))

    @property
    def lm_head(self) -> nn.Linear:
        head: nn.Linear = self.model.get_output_embeddings()
        return head

    def state(self, batch: int, capacity: int) -> KVCache:
        return attention_state(batch, capacity)

    def embed(self, tokens: Tensor) -> Tensor:
        weight: Tensor = self.model.get_input_embeddings().weight
        return torch.as_tensor(nn.functional.embedding(tokens.to(weight.device), weight))

    def _compilation(self) -> AbstractContextManager[Any]:
        """flex attention runs as written on a CPU, where its compiled form does not build."""
        if self._attention == "flex_attention" and self.spec.device.type == "cpu":
            as_written: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
            return as_written
        return nullcontext()

    def _mask(self, mask: Tensor | None, q: int, cache: KVCache, device: torch.device) -> Any:
        """The mask in the form that the attention implementation and layer types want."""
        shown = cache.get_seq_length() + q
        if mask is None:
            mask = torch.ones(1, 1, q, shown, dtype=torch.bool, device=device)
            mask = mask.tril(shown - q)
        masks = {"full_attention": mask}
        if "sliding_attention" in self._layer_types:
            assert self._window is not None
            masks["sliding_attention"] = within_window(mask, self._window)
        formed = {kind: self._form(each) for kind, each in masks.items()}
        used = [kind for kind in formed if kind in self._layer_types]
        return formed[used[0]] if len(used) == 1 else formed

    def _form(self, mask: Tensor) -> Any:
        if self._attention == "eager":
            low = torch.finfo(self.spec.dtype).min
            return torch.zeros_like(mask, dtype=self.spec.dtype).masked_fill(~mask, low)
        if self._attention == "flex_attention":
            return _block_mask(mask)
        return mask


def _block_mask(mask: Tensor) -> Any:
    """A bool mask `[batch, 1, q, kv]` as flex attention's block mask."""
    from torch.nn.attention.flex_attention import create_block_mask

    def visible(batch: Tensor, _: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return mask[batch, 0, query, key]

    rows, _, q, kv = mask.shape
    return create_block_mask(visible, rows, None, q, kv, device=str(mask.device))
