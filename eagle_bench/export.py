"""`python -m eagle_bench.export format=F out=DIR [drafter.path=DIR] [model.path=DIR]`.

`format=gguf` writes target.gguf and head.gguf, float32, for llama.cpp; without paths the embedded
pair. `safeailab`, `speculators`, `modelopt`, `specforge` and `angelslim` write the head alone, with
its vocabulary map (`drafter.vocab_mapping=FILE.pt`) inside. Further settings, named as in a run:
`drafter.embedding_key`, `drafter.aux_layers=[2,6,9]`, `drafter.rope_theta=1e6`,
`drafter.norm_before_residual=true`, `drafter.norm_output=true`, `model.trust_remote_code=true`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eagle_bench.config.words import HELP, PAIR, read_words, under
from eagle_bench.errors import UserError, in_a_sentence

FORMATS = ("gguf", "safeailab", "speculators", "modelopt", "specforge", "angelslim")
SETTINGS = {"format": str, "out": str, **PAIR}


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Write the files and print their names; 0 when done, 2 for a mistake of the user."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if HELP & {*arguments}:
        print(__doc__)
        return 0
    settings = read_words(arguments, SETTINGS, ", ".join(SETTINGS))
    if settings.get("format") not in FORMATS:
        raise UserError(f"Give the format to write: format={'|'.join(FORMATS)}.")
    if not settings.get("out"):
        raise UserError("Give the folder to write into: out=DIR.")
    out = Path(settings["out"]).expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"out={out} is there already and no empty folder; name a new one.")
    for written in export(settings, out):
        print(written)
    return 0


def export(settings: dict[str, Any], out: Path) -> list[Path]:
    """The files written into `out` for `settings` (the keys of `SETTINGS`)."""
    import torch

    from eagle_bench.config.drafter import Eagle3Config
    from eagle_bench.config.model import ModelConfig
    from eagle_bench.config.values import DType
    from eagle_bench.drafters.heads import gguf as head_file
    from eagle_bench.drafters.heads.export import save_head
    from eagle_bench.drafters.heads.load import load_head
    from eagle_bench.models import gguf_writer as target_file
    from eagle_bench.models.load import load_target

    gguf = settings["format"] == "gguf"
    if gguf:
        target_file.require_gguf("format=gguf")
    target = None
    if gguf or "model.path" in settings:
        name = "local" if "model.path" in settings else "embedded"
        model = ModelConfig(name=name, **under(settings, "model"))
        target = load_target(model, DType.float32, torch.device("cpu"))
    choices = under(settings, "drafter")
    drafter = Eagle3Config(name="eagle3" if "path" in choices else "embedded", **choices)
    beside = () if target is None else (target.spec, target.embed)
    loaded = load_head(drafter, *beside)
    for warning in loaded.report.warnings:
        print(f"eagle_bench: {warning}", file=sys.stderr)
    if not gguf:
        return sorted(save_head(loaded.head, out, settings["format"]).iterdir())
    assert isinstance(target, target_file.Writable)
    head_file.check_writable(loaded.config)
    target_file.check_writable(target)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "target.gguf", out / "head.gguf"]
    target_file.write_target(target, files[0])
    head_file.write_head(loaded.head, target, files[1])
    return files


if __name__ == "__main__":
    raise SystemExit(main())
