"""`eagle-bench COMMAND ...`, or `python -m eagle_bench COMMAND ...`: the one door.

A first word that is no command is an argument of `run`: `eagle-bench gen_len=256`. Only the
command that is called is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

from eagle_bench import __version__
from eagle_bench.machine.signals import end_in_a_sentence

COMMANDS = {
    "run": "measure baseline and method on the same prompts (also -m for a sweep)",
    "plan": "what a run or a sweep would need and take; nothing runs",
    "train": "train the embedded target, its draft model or an EAGLE-3 head",
    "proxy": "teacher-forced accuracy beside the acceptance of a real chain",
    "distribution": "is sampled output distributed as the target says?",
    "inspect": "what a head's folder holds, how it is read, whether it fits its target",
    "export": "write a head in another format, or the pair as GGUF for llama.cpp",
    "rerun": "repeat a run from its own record, and compare",
    "collect": "any number of runs and sweeps as one table",
    "compare": "two runs or sweeps, paired, with intervals; a gate for CI",
    "report": "one HTML file on a run or a sweep",
    "dashboard": "the W&B workspace for a project",
    "list": "what is under outputs/: date, pair, method, speedup, status, size",
    "presets": "models, drafters, datasets, decodings, sweeps, experiments by name",
}
INDEX = ("help", "-h", "--help")


def main() -> None:
    """The console script; ends with the command's exit code."""
    end_in_a_sentence()
    words = sys.argv[1:]
    if words[:1] == ["--version"]:
        print(f"eagle_bench {__version__}")
        return
    if words[:1] == ["help"] and len(words) > 1:
        words = [words[1], "--help"]
    if not words or words[0] in INDEX:
        print(index())
        return
    command = words.pop(0) if words[0] in COMMANDS else "run"
    sys.argv = [f"eagle-bench {command}", *words]
    raise SystemExit(import_module(f"eagle_bench.{command}").main())


def index() -> str:
    """Every command with its line."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {line}" for name, line in COMMANDS.items()]
    return "\n".join(
        [
            "eagle-bench COMMAND ...   (a first word that is no command is an argument of run)",
            "",
            *lines,
            "",
            "eagle-bench help COMMAND says more; eagle-bench run is the embedded pair at once.",
        ]
    )


if __name__ == "__main__":
    main()
