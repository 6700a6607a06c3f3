"""A whole job: check, load, warm up, measure, derive the figures, keep them."""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import torch

from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import AUTO, plain
from eagle_bench.engines.fit import rendered_sha256
from eagle_bench.engines.session import Loader
from eagle_bench.engines.setup import Listener, Setup, chosen_prompts, inputs, prepare
from eagle_bench.errors import RunFailure, UserError
from eagle_bench.figures import guards
from eagle_bench.figures.machine_guards import room_at_start
from eagle_bench.figures.repeats import decide
from eagle_bench.figures.summary import summarise
from eagle_bench.machine.provenance import clocks, git_diff, measured_elsewhere
from eagle_bench.measure.benchmark import Benchmark, Block
from eagle_bench.measure.conformance import conformance
from eagle_bench.measure.cost.costs import cost_card, measure_costs
from eagle_bench.measure.cost.words import in_words as costs_in_words
from eagle_bench.measure.grading import fp32_control, graded
from eagle_bench.measure.memory import memory_parts
from eagle_bench.measure.phases import breakdown, in_words
from eagle_bench.measure.probe.ask import ask_head
from eagle_bench.measure.profile import write_trace
from eagle_bench.measure.same_target import check_same_target
from eagle_bench.measure.takes import Takes
from eagle_bench.models.parallel import agreed
from eagle_bench.records.attempts import Attempt, refuse_others
from eagle_bench.records.generation import Arm
from eagle_bench.records.identity import config_hash
from eagle_bench.records.job import Job
from eagle_bench.records.rowfiles import RETAKES
from eagle_bench.records.rows import GenerationRow, RoundRow
from eagle_bench.records.store import RunFolder


class Watcher(Listener, Protocol):
    """Shows a person how far a job is, between timed regions."""

    def start(self, total: int, repeat: int) -> None: ...

    def advance(self, row: GenerationRow) -> None: ...


def run_job(config: RunConfig, folder: Path, loader: Loader, watcher: Watcher) -> Job:
    """Run `config` in `folder`, continuing what an interrupted run left there.

    Raises
    ------
    UserError
        Something that the user can mend, before any measuring.
    RunFailure
        The work failed; `folder` then holds a failed result with the reason, and all rows.
    """
    with RunFolder(folder) as store:
        done = store.complete_result(config_hash(plain(config)))
        if done is not None:
            now = Attempt(str(done.config_hash), inputs(config, loader, chosen_prompts(config)), {})
            refuse_others(store.attempts(), now, folder)
            watcher.say(
                f"{folder} holds the complete result of this config: nothing to measure "
                "(resume=false measures anew)."
            )
            if other := measured_elsewhere(done.provenance):
                watcher.say(f"it was measured with {other}.")
            return replace(done, found=True)
        provenance: dict[str, Any] = {}
        try:
            return _work(config, store, loader, watcher, provenance)
        except UserError as error:
            store.fail(str(error), plain(config), provenance)
            raise
        except OSError:  # The disk's, which tells of itself.
            raise
        except Exception as error:  # Whatever loading or a forward pass of any class may raise.
            reason = _reason(error, config)
            with suppress(RunFailure):  # A folder that cannot be written may be the reason.
                store.fail(reason, plain(config), provenance)
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
    prompts = chosen_prompts(config)
    loads, saved = loader.loads, loader.saved
    setup = prepare(config, prompts, loader, watcher)
    provenance |= setup.provenance
    setup.provenance = provenance
    diff = git_diff(Path(__file__))
    if diff is not None:
        store.write_diff(diff)
    store.write_prompts({prompt.id: prompt.turns for prompt in setup.prompts.prompts})
    rendered = rendered_sha256(setup.session, setup.prompts.prompts)
    if config.measure.preflight:
        ask_head(setup, watcher)
    benchmark = _benchmark(setup, store, watcher)
    provenance["engine"] = benchmark.engine
    if config.measure.costs:
        for line in cost_card(setup.config, setup.session, setup.prompts.prompts):
            watcher.say(line)
    read = inputs(config, loader, prompts) | {"rendered prompts": rendered}
    head = setup.session.drafter.head
    if head is not None:
        read["reading of the head"] = head.config.reading.sha256()
    attempt = Attempt(config_hash(plain(config)), read, dict(provenance))
    earlier = store.begin(attempt)
    provenance["sessions"] = [dict(each.provenance) for each in earlier]
    room, others = room_at_start(provenance)
    if not room:
        watcher.say(f"{others}: timings will suffer; end the other work first.")
    resumed, retakes = _measure(benchmark, store, watcher, provenance)
    provenance["clocks"]["after"] = clocks(str(setup.session.target.spec.device))
    provenance["loads"] = {"done": loader.loads - loads, "saved": loader.saved - saved}
    with watcher.phase("intervals and grading"):
        summary = _summary(setup, benchmark.speculative, store)
    summary["resumed_generations"] = resumed
    summary["disturbance"]["retakes"] = retakes
    _look_closer(setup, store, watcher, summary)
    summary["guards"] = guards.check(store.read_rows(), summary, provenance)
    return store.finish(summary, plain(config), provenance)


def _benchmark(setup: Setup, store: RunFolder, watcher: Watcher) -> Benchmark:
    """Both arms, ready to run; an engine's servers are known to serve this target."""
    config, session, prompts = setup.config, setup.session, setup.prompts.prompts
    if config.engine.inside:
        return Benchmark(config, session, prompts)
    with watcher.phase(f"waiting for both servers of {config.engine.name}"):
        benchmark = Benchmark(config, session, prompts, store.path)
    with watcher.phase("asking them whether they serve this target"):
        check_same_target(config, session, prompts, (benchmark.baseline, benchmark.speculative))
    return benchmark


def _measure(
    benchmark: Benchmark, store: RunFolder, watcher: Watcher, provenance: dict[str, Any]
) -> tuple[int, int]:
    """Every block that the folder does not hold already, and what others disturbed again.

    Returns
    -------
    int, int
        Generations that the folder held; takes that do not count.
    """
    rows = store.read_rows()
    done = _finished(rows, benchmark)

    def report(row: GenerationRow, rounds: list[RoundRow]) -> None:
        store.append_rounds(rounds)
        store.append(row)
        if row.take == 0:
            watcher.advance(row)

    provenance["energy"] = benchmark.energy.as_dict()
    takes = Takes(benchmark, store, report)
    for repeat in count():
        blocks = benchmark.blocks(repeat)
        new = [block for block in blocks if not _is_done(block, done)]
        if new:
            if not takes.warm_up_runs:
                with watcher.phase("warming up"):
                    takes.warm_up()
            watcher.start(2 * sum(len(block.prompts) for block in new), repeat)
        for block in new:
            takes.run(block)
        takes.finish_pass(blocks)
        counted, others = takes.settled()
        decision = decide([row for row in counted if row.repeat <= repeat], benchmark.config)
        if not agreed(float(decision.go_on)):
            break
    store.settle(counted, others)
    provenance["warm_up_runs"] = takes.warm_up_runs
    provenance["repeats"] = decision.as_dict()
    if benchmark.config.repeats == AUTO:
        watcher.say(f"repeats=auto: {decision.reason}.")
    again = len({(row.prompt_id, row.repeat, row.take) for row in others})
    if again:
        watcher.say(f"others' work disturbed {again} takes: measured again, kept in {RETAKES}.")
    kept = sum((row.prompt_id, row.repeat) in done for row in rows)
    return kept, again


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


def _summary(setup: Setup, arm: Arm, store: RunFolder) -> dict[str, Any]:
    """Every figure that the rows give."""
    config = setup.config
    rows, rounds = store.read_rows(), store.read_rounds()
    greedy = config.temperature == 0
    lossless = graded(config, setup.session, setup.prompts, rows) if greedy else None
    resamples = config.measure.bootstrap_resamples
    try:
        summary = summarise(
            rows,
            gen_len=config.gen_len,
            seed=config.seed,
            resamples=resamples,
            confidence=config.measure.confidence,
            lossless=lossless,
            rounds=rounds,
            target_ci=config.measure.target_ci,
        )
    except MemoryError as error:
        raise RunFailure(
            f"out of memory over the intervals of {len(setup.prompts.prompts)} prompts; lower "
            f"measure.bootstrap_resamples={resamples}"
        ) from error
    session = setup.session
    if config.engine.inside:
        drafter = session.drafter.drafter
        summary["memory"] = memory_parts(config, session.target, drafter, arm, rows)
    return summary


def _look_closer(setup: Setup, store: RunFolder, watcher: Watcher, summary: dict[str, Any]) -> None:
    """The passes that are asked for beside the timed one; `summary` gets what they find."""
    config, session, prompts = setup.config, setup.session, setup.prompts.prompts
    rows = store.read_rows()
    if config.measure.costs:
        with watcher.phase("measuring costs"):
            costs = measure_costs(config, session, prompts, rows, store.read_rounds())
        summary["costs"] = costs
        for line in costs_in_words(costs):
            watcher.say(line)
    if config.measure.fp32_control:
        with watcher.phase("the same prompts in float32"):
            summary["lossless"]["fp32_control"] = fp32_control(config, setup.prompts)
    if not config.engine.inside:
        with watcher.phase("the same prompts in our own loop"):
            summary["engine_gap"] = conformance(config, session, prompts, rows)
        gap = summary["engine_gap"]
        watcher.say(
            gap["sentence"] if gap else "the engine does not tell its rounds: no gap is computed."
        )
    if config.measure.phases:
        with watcher.phase("timing the phases of a round"):
            summary["phases"], instrumented = breakdown(config, session, prompts, rows)
        store.write_phases(instrumented)
        for arm, phases in summary["phases"].items():
            watcher.say(in_words(arm, phases))
    if config.measure.profile:
        watcher.say(f"trace: {write_trace(config, session, prompts[0], store.path)}")


def _reason(error: Exception, config: RunConfig) -> str:
    """One line; memory that ran out is told with the settings that need less of it."""
    line = next(iter(str(error).splitlines()), "")
    if not line or not isinstance(error, RuntimeError | MemoryError):
        line = f"{type(error).__name__} {line}".strip()
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in line:
        return (
            f"out of memory with batch_size={config.batch_size} and gen_len={config.gen_len}; "
            f"lower one of them ({line})"
        )
    return line
