"""`python -m eagle_bench.inspect drafter.path=DIR [model.path=DIR] [--json]`: what is this head?

Further settings, named as in a run: `drafter.vocab_mapping`, `drafter.embedding_key`,
`drafter.aux_layers=[2,6,9]`, `drafter.rope_theta=1e6`, `drafter.norm_before_residual=true`,
`drafter.norm_output=true`, `model.trust_remote_code=true`. When the head fits the model, both
are loaded and the head is asked whether it is read as it was trained; `preflight=false` leaves
that out and loads no weights but the head's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from eagle_bench.config.drafter import HEADS, Eagle3Config
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.words import HELP, PAIR, read_words, under
from eagle_bench.drafters.heads.checkpoint import open_checkpoint
from eagle_bench.drafters.heads.load import read_head
from eagle_bench.drafters.heads.report import LoadReport
from eagle_bench.errors import DOCUMENT, UserError, in_a_sentence
from eagle_bench.models.load import target_shape

SETTINGS = {**PAIR, "preflight": bool}


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Print what the head is; 0 when it is loadable (and fits the target), else 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if HELP & {*arguments}:
        print(__doc__)
        return 0
    document = inspect(parse([a for a in arguments if a != "--json"]))
    if "--json" in arguments:
        DOCUMENT.show(document)
    else:
        Console().print(render(document))
    return 0 if document["fits"] is not False else 2


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """The settings of a command line of `key=value` words."""
    settings = read_words(arguments, SETTINGS, f"{', '.join(SETTINGS)}, --json")
    if not settings.get("drafter.path"):
        raise UserError("Give the head's folder: drafter.path=DIR.")
    return settings


def inspect(settings: dict[str, Any]) -> dict[str, Any]:
    """The loader's report, with `model`, `fits` (null without a model), `misfit`, `preflight`."""
    path = settings.get("model.path")
    shape = target_shape(_model(settings)) if path else None
    checkpoint = open_checkpoint(settings["drafter.path"])
    kind = checkpoint.kind
    if kind not in HEADS:
        raise UserError(
            f"{checkpoint.folder} holds a head of the kind {kind.value}, which is only named here; "
            f"it runs as drafter={kind.name}."
        )
    drafter = HEADS[kind](name=kind.name, **under(settings, "drafter"))
    report, fits, misfit, asked = read_head(checkpoint, drafter).report, None, None, None
    if shape is not None:
        try:
            report = read_head(checkpoint, drafter, shape).report
            fits = True
        except UserError as error:
            fits, misfit = False, str(error)
    if fits and settings.get("preflight", True):
        try:
            report, asked = _preflight(settings, drafter)
        except UserError as error:
            asked = {"verdict": "not asked", "sentence": str(error), "tried": []}
    return report.plain() | {
        "model": path,
        "fits": fits,
        "misfit": misfit,
        "preflight": asked,
    }


def render(document: dict[str, Any]) -> Table:
    """The report as a table of two columns."""
    fields = {name: document[name] for name in LoadReport.__dataclass_fields__}
    report = LoadReport(**fields)
    table = Table(title=f"{report.title} head", show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    shapes = report.shapes
    kind = f"{report.attention}, {shapes['num_heads']} heads, {shapes['num_kv_heads']} key-value"
    latent = f", latent {shapes['latent_dim']}" if "latent_dim" in shapes else ""
    cache = f"{report.cache_bytes_per_token} bytes per token"
    if report.cache_bytes_per_token != report.plain_cache_bytes_per_token:
        share = report.cache_bytes_per_token / report.plain_cache_bytes_per_token
        cache += f" ({share:.0%} of the {report.plain_cache_bytes_per_token} of plain k and v)"
    reading = {name: choice["value"] for name, choice in report.reading.items()}
    why = {name: choice["why"] for name, choice in report.reading.items()}
    rope = reading["rope"]
    embeddings = "the head's" if reading["own_embeddings"] else "the target's"
    on = [name for name, value in (reading | report.flags).items() if value is True]
    layers = "unknown without a target" if report.aux_layers is None else str(report.aux_layers)
    rows = {
        "Folder": report.path,
        "Format": f"{report.format} ({report.kind})",
        "Weights": f"{', '.join(report.files)}: {report.parameters:,} parameters, {report.dtype}",
        "Width": f"{shapes['hidden_size']} (target {shapes['target_hidden_size']}), "
        f"{shapes['num_layers']} layer(s), MLP {shapes['intermediate_size']}",
        "Attention": f"{kind}, head_dim {shapes['head_dim']}{latent}",
        "Cache": cache,
        "Window": f"{reading['window'] or 'the whole context'}; {why['window']}",
        "RoPE": f"theta {rope['theta']:g}, scaling {rope['scaling'] or 'none'}; {why['rope']}",
        "Vocabulary": f"{shapes['draft_vocab_size']:,} of {shapes['vocab_size']:,} tokens "
        f"({report.coverage:.1%}); {why['mapped']}",
        "Aux layers": f"inputs of {layers}; {why['aux_layers']}"
        if report.generation == 3
        else why["aux_layers"],
        "Embeddings": f"{embeddings}; {why['own_embeddings']}",
        "Flags": ", ".join(on) or "none",
        "Missing keys": ", ".join(report.missing) or "none",
        "Ignored keys": ", ".join(report.ignored) or "none",
        "Unexpected keys": ", ".join(report.unexpected) or "none",
        "Unread config": ", ".join(report.not_understood) or "none",
    }
    for name, text in rows.items():
        table.add_row(name, text)
    if document["fits"] is not None:
        verdict = "yes" if document["fits"] else f"no: {document['misfit']}"
        table.add_row("Fits the target", f"{verdict} ({document['model']})")
    if document["preflight"]:
        found = document["preflight"]
        table.add_row("Pre-flight", f"{found['verdict']}: {found['sentence']}")
        for other in found["tried"]:
            says = f"{other['accuracy']:.1%}, loss {other['loss']:.2f}"
            table.add_row("", f"{other['name']}: {says}")
    for warning in report.warnings:
        table.add_row("Warning", warning)
    return table


def _model(settings: dict[str, Any]) -> ModelConfig:
    return ModelConfig("local", **under(settings, "model"))


def _preflight(
    settings: dict[str, Any], drafter: Eagle3Config
) -> tuple[LoadReport, dict[str, Any]]:
    """The head beside the loaded target, and what it says itself on the embedded prompts."""
    from eagle_bench.config.values import DType
    from eagle_bench.drafters.build import load_eagle_head
    from eagle_bench.measure.probe.ask import questions
    from eagle_bench.measure.probe.preflight import preflight
    from eagle_bench.models.load import load_target, resolve_device

    target = load_target(_model(settings), DType.auto, resolve_device("auto"))
    loaded = load_eagle_head(drafter, target)
    return loaded.report, preflight(loaded.head, target, questions(target)).plain()


if __name__ == "__main__":
    raise SystemExit(main())
