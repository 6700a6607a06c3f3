"""What a job would need and take, known from its settings and the shapes of its models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean

from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import Compile, DType, dtype_name
from eagle_bench.decoding.build import build_speculative
from eagle_bench.engines.fit import most_context
from eagle_bench.engines.session import Loader
from eagle_bench.engines.setup import Listener, chosen_prompts, prepare
from eagle_bench.errors import UserError
from eagle_bench.measure.cost.roofline import Roofline, card, roofline
from eagle_bench.measure.memory import held_bytes
from eagle_bench.models.load import resolve_device, resolve_dtype


@dataclass(frozen=True)
class Outline:
    """A job before it runs.

    Attributes
    ----------
    prompts : int
        Those that are left when the ones that do not fit are out.
    generations : int
        Of both arms together, one for each turn and repeat.
    step_flop, step_read_bytes : float
        Of one target step that makes one token, at the mean context.
    step_s : float
        The floor of that step.
    least_s, most_s : float
        Floor of all target steps, drafting left out: were all that is drafted accepted, and
        were nothing. Loading, checks and warm-up come on top, and what the host takes.
    memory : dict[str, int]
        As `measure.memory.held_bytes`.
    card : list[str]
        The roofline card.
    """

    prompts: int
    generations: int
    step_flop: float
    step_read_bytes: float
    step_s: float
    least_s: float
    most_s: float
    memory: dict[str, int]
    card: list[str]

    @property
    def held_bytes(self) -> int:
        """Weights and caches."""
        return sum(self.memory[f"{of}_{what}_bytes"] for of in PAIR for what in ("weight", "cache"))


PAIR = ("target", "drafter")


def outline(config: RunConfig, sketcher: Loader, listener: Listener) -> Outline:
    """Check `config` as a run does and count what it asks for; no weights of a target are read.

    Parameters
    ----------
    sketcher : Loader
        Gives models on torch's meta device.

    Raises
    ------
    UserError
        What a run would refuse, or an engine of which only its server knows.
    """
    if not config.engine.inside:
        raise UserError(f"engine={config.engine.name} is not planned: leave it out, or run it.")
    device = resolve_device(config.device)
    dtype = DType(dtype_name(resolve_dtype(config.dtype, device)))
    plain = replace(config, dtype=dtype, compile=Compile.off)
    setup = prepare(plain, chosen_prompts(plain), sketcher, listener)
    session, config, prompts = setup.session, setup.config, setup.prompts.prompts
    drafter = session.drafter.drafter
    arm = build_speculative(config, session.target, drafter)
    tokens = [most_context(session, prompt, config.gen_len) for prompt in prompts]
    context = fmean(tokens) + config.gen_len / 2
    roof = roofline(session.target, device)
    answers = sum(len(prompt.turns) for prompt in prompts)
    answers *= config.repeats if isinstance(config.repeats, int) else 1
    seconds = _seconds(config, roof, answers, context, arm.max_nodes)
    return Outline(
        prompts=len(prompts),
        generations=2 * answers,
        step_flop=roof.work.flop(1),
        step_read_bytes=roof.work.read_bytes(1, context),
        step_s=roof.step_s(context),
        least_s=seconds(1 + (config.decoding.levels if config.decoding.cached else arm.max_nodes)),
        most_s=seconds(1),
        memory=held_bytes(config, session.target, drafter, arm, max(tokens)),
        card=card(roof, context),
    )


def _seconds(
    config: RunConfig, roof: Roofline, answers: int, context: float, nodes: int
) -> Callable[[int], float]:
    """The floor of both arms' target steps, by the tokens that each round of drafting yields."""
    rows = config.batch_size
    turns = answers / rows
    prefill_s = roof.verify_s(rows * round(context), 0.0)
    step_s = roof.verify_s(rows, rows * context)
    read_again = 0 if config.decoding.cached else round(context)
    round_s = roof.verify_s(rows * (nodes + 1 + read_again), rows * context)

    def seconds(tokens_a_round: int) -> float:
        rounds = config.gen_len / tokens_a_round
        return turns * (2 * prefill_s + config.gen_len * step_s + rounds * round_s)

    return seconds
