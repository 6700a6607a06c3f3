"""A whole job: check, load, warm up, measure, derive the figures, keep them."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from eagle_bench.config import RunConfig, plain
from eagle_bench.data.chat import ChatFormat, opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.data.prompt import Prompt, PromptSet
from eagle_bench.drafters.build import check_combination
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.errors import RunFailure, UserError
from eagle_bench.measure import guards, lossless
from eagle_bench.measure.benchmark import Benchmark, Block
from eagle_bench.measure.figures import summarise
from eagle_bench.measure.phases import breakdown, in_words
from eagle_bench.measure.preflight import PROMPTS, preflight
from eagle_bench.measure.profile import write_trace
from eagle_bench.measure.provenance import capture, clocks
from eagle_bench.measure.rows import GenerationRow, RoundRow
from eagle_bench.measure.session import Loader, Session
from eagle_bench.measure.teacher import divergence_gaps
from eagle_bench.results.identity import config_hash
from eagle_bench.results.job import Job, read_job
from eagle_bench.results.store import RunFolder


class Watcher(Protocol):
    """Shows a person how far a job is, between timed regions."""

    def start(self, total: int) -> None: ...

    def advance(self, row: GenerationRow) -> None: ...

    def say(self, line: str) -> None: ...


def run_job(config: RunConfig, folder: Path, loader: Loader, watcher: Watcher) -> Job:
    """Run `config` in `folder`, continuing what an interrupted run left there.

    Raises
    ------
    UserError
        Something that the user can mend, before any measuring.
    RunFailure
        The work failed; `folder` then holds a failed result with the reason, and all rows.
    """
    settings = plain(config)
    with RunFolder(folder) as store:
        if config.resume and store.is_complete(config_hash(settings)):
            watcher.say(f"{folder} holds the complete result of this config; nothing to do.")
            return read_job(folder)
        provenance: dict[str, Any] = {}
        try:
            return _work(config, store, loader, watcher, provenance)
        except UserError as error:
            store.fail(str(error), settings, provenance)
            raise
        except (RuntimeError, MemoryError) as error:
            reason = _reason(error, config)
            store.fail(reason, settings, provenance)
            failure = RunFailure(f"the run failed: {reason}")
            failure.add_note(traceback.format_exc())
            error.__traceback__ = None  # Its frames hold caches, and a sweep keeps its failures.
            raise failure from error


def _work(
    config: RunConfig,
    store: RunFolder,
    loader: Loader,
    watcher: Watcher,
    provenance: dict[str, Any],
) -> Job:
    """The job itself; `provenance` is filled as it becomes known, for a failure to tell."""
    check_combination(config)
    prompts = load_prompts(config.dataset, config.num_samples, config.seed)
    session = loader.session(config)
    if config.dataset.skip_long:
        prompts = _fitting(prompts, session, config.gen_len)
    for reason, count in prompts.skipped.items():
        total = count + len(prompts.prompts)
        watcher.say(f"{count} of {total} prompts left out: {reason}")
    provenance |= _provenance(session, prompts)
    benchmark = Benchmark(config, session, prompts.prompts)
    if config.measure.preflight:
        provenance["preflight"] = _preflight(session, prompts, watcher)
    _measure(benchmark, store, watcher, provenance)
    provenance["clocks"]["after"] = clocks(str(session.target.spec.device))
    provenance["loads"] = {"done": loader.loads, "saved": loader.saved}
    summary = _summary(config, session, prompts, store, provenance)
    if config.measure.phases:
        summary["phases"], instrumented = breakdown(
            config, session, prompts.prompts, store.read_rows()
        )
        store.write_phases(instrumented)
        for arm, phases in summary["phases"].items():
            watcher.say(in_words(arm, phases))
    if config.measure.profile:
        trace = write_trace(config, session, prompts.prompts[0], store.path)
        watcher.say(f"trace: {trace}")
    return store.finish(summary, plain(config), provenance)


def _reason(error: RuntimeError | MemoryError, config: RunConfig) -> str:
    """One line; memory that ran out is told with the settings that need less of it."""
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in line:
        return (
            f"out of memory with batch_size={config.batch_size} and gen_len={config.gen_len}; "
            f"lower one of them ({line})"
        )
    return line


def _measure(
    benchmark: Benchmark, store: RunFolder, watcher: Watcher, provenance: dict[str, Any]
) -> None:
    """Every block that the folder does not hold already."""
    done = _finished(store.read_rows(), benchmark)
    blocks = [block for block in benchmark.blocks() if not _is_done(block, done)]
    provenance["resumed_rows"] = len(done)
    if not blocks:
        return
    watcher.start(2 * sum(len(block.prompts) for block in blocks))
    provenance["warm_up_runs"] = benchmark.warm_up()

    def report(row: GenerationRow, rounds: list[RoundRow]) -> None:
        store.append_rounds(rounds)
        store.append(row)
        watcher.advance(row)

    for block in blocks:
        benchmark.run(block, report)


def _finished(rows: list[GenerationRow], benchmark: Benchmark) -> set[tuple[str, int]]:
    """(prompt, repeat) whose last turn is there for both arms."""
    last = {prompt.id: len(prompt.turns) - 1 for prompt in benchmark.prompts}
    arms: dict[tuple[str, int], set[str]] = {}
    for row in rows:
        if row.turn == last.get(row.prompt_id):
            arms.setdefault((row.prompt_id, row.repeat), set()).add(row.arm)
    return {key for key, seen in arms.items() if len(seen) > 1}


def _is_done(block: Block, done: set[tuple[str, int]]) -> bool:
    return all((prompt.id, block.repeat) in done for prompt in block.prompts)


def _provenance(session: Session, prompts: PromptSet) -> dict[str, Any]:
    spec = session.target.spec
    captured = capture(str(spec.device))
    return captured | {
        "target": {
            "name": spec.name,
            "architecture": spec.architecture,
            "implementation": spec.implementation,
            "parameters": spec.parameters,
            "weight_bytes": spec.weight_bytes,
            "layers": spec.num_layers,
            "dtype": str(spec.dtype).removeprefix("torch."),
            "device": str(spec.device),
            "aux_layers": list(spec.aux_layers),
        },
        "drafter": session.drafter.report,
        "checkpoints_sha256": session.checkpoints,
        "dataset": {
            "name": prompts.name,
            "sha256": prompts.sha256,
            "prompts": len(prompts.prompts),
            "skipped": prompts.skipped,
        },
        "chat_template": session.chat.name,
        "foreign_markers": list(session.chat.foreign_markers),
    }


def _fitting(prompts: PromptSet, session: Session, gen_len: int) -> PromptSet:
    """The prompts whose first turn leaves room for `gen_len` tokens; the others are counted."""
    room = min(session.rooms().values()) - gen_len
    kept = tuple(
        prompt for prompt in prompts.prompts if len(session.chat.encode(opening(prompt))) <= room
    )
    if not kept:
        raise UserError(
            f"None of the {len(prompts.prompts)} prompts leaves room for gen_len={gen_len} tokens "
            f"within {room + gen_len} positions; lower gen_len."
        )
    long = len(prompts.prompts) - len(kept)
    skipped = prompts.skipped | ({"longer than the positions": long} if long else {})
    return replace(prompts, prompts=kept, skipped=skipped)


def _preflight(session: Session, prompts: PromptSet, watcher: Watcher) -> dict[str, Any] | None:
    """What the EAGLE head says of how it is read; asked once for each loaded head."""
    drafter = session.drafter.drafter
    if not isinstance(drafter, Eagle3Drafter):
        return None
    if session.drafter.preflight is None:
        encoded = [session.chat.encode(opening(prompt)) for prompt in prompts.prompts[:PROMPTS]]
        session.drafter.preflight = preflight(drafter.head, session.target, encoded).plain()
    found = session.drafter.preflight
    watcher.say(
        f"pre-flight {'ok' if found['verdict'] == 'fits' else 'WARNING'}: {found['sentence']}"
    )
    return found


def _summary(
    config: RunConfig,
    session: Session,
    prompts: PromptSet,
    store: RunFolder,
    provenance: dict[str, Any],
) -> dict[str, Any]:
    rows, rounds = store.read_rows(), store.read_rounds()
    report = _lossless(config, session, prompts, rows) if config.temperature == 0 else None
    summary = summarise(
        rows,
        gen_len=config.gen_len,
        seed=config.seed,
        resamples=config.measure.bootstrap_resamples,
        confidence=config.measure.confidence,
        lossless=report,
        rounds=rounds,
    )
    summary["guards"] = guards.check(rows, summary, provenance)
    return summary


def _lossless(
    config: RunConfig, session: Session, prompts: PromptSet, rows: list[GenerationRow]
) -> lossless.LosslessReport:
    """The comparison of both arms' tokens, each difference graded by teacher forcing."""
    report = lossless.compare(rows)
    by_id = {prompt.id: prompt for prompt in prompts.prompts}
    spoken = {(row.prompt_id, row.turn, row.arm, row.repeat): row for row in rows}
    gaps = {}
    for pair in report.differing:
        said = [
            spoken[pair.prompt_id, turn, pair.arm, pair.repeat] for turn in range(pair.turn + 1)
        ]
        context = _context(session.chat, by_id[pair.prompt_id], said[:-1])
        gaps[pair] = divergence_gaps(session.target, context, said[-1].token_ids)
    return lossless.grade_divergences(report, gaps, tie_gap=config.measure.tie_gap)


def _context(chat: ChatFormat, prompt: Prompt, answers: list[GenerationRow]) -> list[int]:
    """The tokens that the turn after `answers` began from."""
    history = opening(prompt)
    for turn, answer in enumerate(answers, 1):
        history.append({"role": "assistant", "content": chat.decode(answer.token_ids)})
        history.append({"role": "user", "content": prompt.turns[turn]})
    return chat.encode(history)
