"""How near its floors does a round come on this device? (made for a GPU)

    python -m experiments.gpu.measure [KEY=VALUE ...]

Times only: the weights are random (7B and 8B shapes in bfloat16, made on the device, nothing is
downloaded), so what is accepted means nothing. Settings with their defaults: `shapes=8b,7b`
`budget_s=450` `context=512` `device=auto` `dtype=auto` `out=outputs/gpu`; `model.path=FOLDER`
and `drafter.path=FOLDER` for real weights. Writes `gpu.json` after every part, and `gpu.html`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from eagle_bench.config.values import DType, dtype_name
from eagle_bench.errors import UserError, in_a_sentence
from eagle_bench.machine.provenance import capture, clocks
from eagle_bench.measure.cost.parts import Place, time_verifications
from eagle_bench.measure.cost.roofline import Roofline, card, roofline
from eagle_bench.models.load import resolve_device, resolve_dtype
from eagle_bench.records.atomic import write_text
from eagle_bench.records.generation import Request
from experiments.gpu.page import page_html
from experiments.gpu.pair import SHAPES, Pair, random_pair, real_pair
from experiments.gpu.rounds import BASELINE, DRAFTS, time_rounds

TOKENS = 24
VERIFIED = range(1, 65)
BATCHES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Settings:
    """What to measure; `budget_s` bounds the seconds of all of it, from when they begin."""

    shapes: str = "8b,7b"
    budget_s: float = 450.0
    context: int = 512
    device: str = "auto"
    dtype: str = "auto"
    out: str = "outputs/gpu"
    model: str | None = None
    drafter: str | None = None


def parse(arguments: Sequence[str]) -> Settings:
    """The settings of `KEY=VALUE` words.

    Raises
    ------
    UserError
        A word that is no setting, or a value that it cannot have.
    """
    kinds = {"budget_s": float, "context": int}
    names = {field.name: field.name for field in fields(Settings)}
    names = names | {"model.path": names.pop("model"), "drafter.path": names.pop("drafter")}
    given: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if key not in names or not equals:
            raise UserError(f"{argument!r} is no setting; known: {', '.join(names)}.")
        try:
            given[names[key]] = kinds.get(key, str)(text)
        except ValueError as error:
            raise UserError(f"{argument!r} should be a number.") from error
    settings = Settings(**given)
    unknown = set(settings.shapes.split(",")) - set(SHAPES)
    if unknown:
        raise UserError(f"shapes={','.join(unknown)} is unknown; known: {', '.join(SHAPES)}.")
    if settings.dtype not in DType.__members__:
        raise UserError(
            f"dtype={settings.dtype} is unknown; known: {', '.join(DType.__members__)}."
        )
    if settings.context < 2:
        raise UserError(f"context={settings.context} must be at least 2.")
    return settings


class Report:
    """The findings so far, on the disk after each; parts beyond the deadline are left out."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.began_s = time.monotonic()
        self.deadline_s = self.began_s + settings.budget_s
        self.folder = Path(settings.out)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.found: dict[str, Any] = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": {key: said for key, said in asdict(settings).items() if key != "out"},
            "provenance": capture(str(device)),
            "shapes": [],
        }

    def begin(self, shape: str, deadline_s: float) -> None:
        """A new shape, its parts to be done by `deadline_s` (monotonic seconds)."""
        self.shape: dict[str, Any] = {"shape": shape, "rounds": [], "left_out": {}}
        self.found["shapes"].append(self.shape)
        self.shape_deadline_s = min(deadline_s, self.deadline_s)

    def part(self, name: str, work: Callable[[], dict[str, Any]]) -> bool:
        """Do `work` and keep what it finds; whether it was done. A failure is kept too."""
        now_s = time.monotonic()
        if now_s > self.shape_deadline_s:
            self.shape["left_out"][name] = "the budget was spent"
            return False
        try:
            for key, value in work().items():
                if isinstance(value, list) and isinstance(self.shape.get(key), list):
                    self.shape[key] += value
                else:
                    self.shape[key] = value
        except RuntimeError as error:
            self.shape["left_out"][name] = str(error).splitlines()[0]
        done = name not in self.shape["left_out"]
        told = "done" if done else self.shape["left_out"][name]
        print(
            f"{self.shape['shape']}: {name}: {told} ({time.monotonic() - now_s:.1f} s)", flush=True
        )
        self.write()
        return done

    def write(self) -> None:
        """Both files."""
        self.found["seconds"] = time.monotonic() - self.began_s
        write_text(self.folder / "gpu.json", json.dumps(self.found, indent=1))
        write_text(self.folder / "gpu.html", page_html(self.found))


def measure(settings: Settings) -> dict[str, Any]:
    """Every shape by itself; the time that is left is shared equally among those to come.

    Returns
    -------
    dict
        What `gpu.json` holds, plain JSON types: `made`, `settings`, `provenance`, `seconds`, and
        per shape `shape`, `origin`, `load_s`, `parameters`, `head_bytes`, `roofline`, `card`
        (lines), `verify` (per n `tokens`, `verify_s`, `floor_s`), `rounds` (`method`, `nodes`,
        `batch`, `floor_s` of their target step, and the attributes of `rounds.Found`), and
        `left_out` (reasons by part).
    """
    device = resolve_device(settings.device)
    report = Report(settings, device)
    shapes = [settings.model] if settings.model else settings.shapes.split(",")
    for index, shape in enumerate(shapes):
        now_s = time.monotonic()
        share_s = (report.deadline_s - now_s) / (len(shapes) - index)
        report.begin(shape, now_s + share_s)
        _measure_shape(report, settings, shape, device)
    report.found["provenance"]["clocks"]["after"] = clocks(str(device))
    report.write()
    return report.found


def _measure_shape(report: Report, settings: Settings, shape: str, device: torch.device) -> None:
    made: list[Pair] = []
    roofs: list[Roofline] = []

    def load() -> dict[str, Any]:
        began_s = time.monotonic()
        if settings.model:
            pair = real_pair(settings.model, settings.drafter, DType[settings.dtype], device)
        else:
            pair = random_pair(shape, resolve_dtype(DType[settings.dtype], device), device)
        made.append(pair)
        spec = pair.target.spec
        return {
            "origin": pair.origin,
            "load_s": time.monotonic() - began_s,
            "dtype": dtype_name(spec.dtype),
            "implementation": spec.implementation,
            "parameters": spec.parameters,
            "head_bytes": pair.drafter.weight_bytes,
        }

    def floors() -> dict[str, Any]:
        roof = roofline(made[0].target)
        roofs.append(roof)
        known = asdict(roof.speed) | {"weight_bytes": roof.work.read_bytes(1, 0)}
        return {"roofline": known, "card": card(roof, settings.context)}

    def verifications() -> dict[str, Any]:
        draw = torch.Generator().manual_seed(0)
        tokens = torch.randint(300, (settings.context + 64,), generator=draw).tolist()
        place = Place(Request("", tokens[:-128], 128), tokens[-128:])
        times = time_verifications(made[0].target, place, features=True, counts=VERIFIED)
        return {
            "verify": [
                {"tokens": n, "verify_s": s, "floor_s": roofs[0].verify_s(n, settings.context)}
                for n, s in times.items()
            ]
        }

    if not report.part("load", load) or not report.part("roofline", floors):
        return
    report.part("t(m)", verifications)
    for batch in BATCHES:
        for draft in (BASELINE, *DRAFTS):

            def rounds(draft: Any = draft, batch: int = batch) -> dict[str, Any]:
                found = time_rounds(made[0], draft, batch, settings.context, TOKENS)
                tokens = batch * (draft.nodes + 1)
                floor_s = roofs[0].verify_s(tokens, batch * settings.context)
                about = {"method": draft.name, "nodes": draft.nodes, "batch": batch}
                return {"rounds": [about | {"floor_s": floor_s} | asdict(found)]}

            report.part(f"{draft.name}, batch {batch}", rounds)


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and say where the page lies."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    settings = parse(arguments)
    measure(settings)
    print(f"page: {Path(settings.out) / 'gpu.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
