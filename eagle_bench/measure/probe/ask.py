"""An EAGLE head is asked how it is read, and from then on read so.

The questions are prompts that ship, in the target's own chat format, whatever a job measures: head
and target alone decide, so all jobs of a sweep, a resume and a rerun read the head alike.
"""

from __future__ import annotations

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.values import ReadAs
from eagle_bench.data.chat import chat_format, opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.drafters.build import read_otherwise
from eagle_bench.engines.setup import Listener, Setup
from eagle_bench.measure.probe.preflight import ADOPTED, preflight
from eagle_bench.models.target import Target

PROMPTS = 8
SOUND = ("fits", ADOPTED)


def questions(target: Target) -> list[list[int]]:
    """The prompts that every head of `target` is asked about, as its tokens."""
    chat = chat_format(target.tokenizer, "auto" if target.tokenizer.chat_template else "none")
    prompts = load_prompts(DatasetConfig(name="embedded"), PROMPTS, 0).prompts
    return [chat.encode(opening(prompt)) for prompt in prompts]


def ask_head(setup: Setup, listener: Listener) -> None:
    """Ask the session's EAGLE head, if it has one, and let it be read by the answer.

    The answer goes into the provenance, where `drafter` keeps what the loader understood.
    """
    session, config = setup.session, setup.config
    built, target = session.drafter, session.target
    if built.head is None:
        return
    assert isinstance(config.drafter, Eagle3Config)
    if built.preflight is None:
        adopt = config.drafter.reading is ReadAs.auto
        with listener.phase(f"pre-flight on {PROMPTS} prompts"):
            found = preflight(built.head, target, questions(target), adopt=adopt)
        built.preflight = found.plain()
        if found.adopted is not None:
            built.adopted = read_otherwise(
                built, found.adopted, config.decoding, target, config.compile
            )
    if built.adopted is not None:
        session.use(built.adopted)
        setup.provenance["target"]["aux_layers"] = list(target.spec.aux_layers)
    setup.provenance["preflight"] = built.preflight
    mark = "ok" if built.preflight["verdict"] in SOUND else "WARNING"
    listener.say(f"pre-flight {mark}: {built.preflight['sentence']}")
