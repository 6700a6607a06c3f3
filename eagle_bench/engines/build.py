"""From settings to the two arms of a run: our loop's, or an engine's."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.engine import (
    LlamaCppConfig,
    OpenAIConfig,
    ServedConfig,
    SGLangConfig,
    VllmConfig,
)
from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import Proposal, Stop
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.drafters.heads import gguf as head_file
from eagle_bench.engines.http import Client
from eagle_bench.engines.llama_cpp import LlamaCpp
from eagle_bench.engines.openai import OpenAI
from eagle_bench.engines.served import Dialect, ServedArm
from eagle_bench.engines.server import Server, free_port
from eagle_bench.engines.session import Session
from eagle_bench.engines.sglang import SGLang
from eagle_bench.engines.vllm import Vllm
from eagle_bench.errors import RunFailure, UserError
from eagle_bench.models import gguf_writer as target_file
from eagle_bench.records.generation import BASELINE, Arm

SCRIPT = Path(__file__).with_name("llama_server.py")
START_S = 120.0


def build_arms(config: RunConfig, session: Session) -> tuple[Arm, Arm]:
    """The baseline and the speculative arm, of one engine.

    Raises
    ------
    UserError
        The engine cannot run this pair.
    RunFailure
        Its server does not start.
    """
    engine, target = config.engine, session.target
    match engine:
        case ServedConfig() if engine.running is not None:
            return _running_arms(config, engine, session)
        case LlamaCppConfig():
            return _llama_cpp_arms(config, session)
    return build_baseline(config, target), build_speculative(
        config, target, session.drafter.drafter
    )


def dialect_of(config: RunConfig, model: str = "") -> Dialect:
    """How the engine of `config`, which serves `model`, is spoken to."""
    ignore_eos = config.stop is Stop.length
    match config.engine:
        case VllmConfig():
            return Vllm(model, ignore_eos)
        case SGLangConfig():
            return SGLang(ignore_eos)
        case OpenAIConfig():
            return OpenAI(model)
    return LlamaCpp()


def check_engine(config: RunConfig) -> None:
    """Refuse, before anything is loaded, what the engine cannot do.

    Raises
    ------
    UserError
    """
    engine, measure = config.engine, config.measure
    if engine.inside:
        return
    name = f"engine={engine.name}"
    match engine:
        case ServedConfig() if engine.running is not None:
            _meet(config, engine)
        case LlamaCppConfig():
            _check_llama_cpp(config)
        case _:
            raise UserError(
                f"{name} measures running servers: engine.url=http://HOST:PORT (with drafts) and "
                "engine.baseline_url=http://HOST:PORT (without)."
            )
    refused = {
        "needs an EAGLE head: drafter=eagle3 or embedded": not config.drafter.is_head,
        "drafts chains: decoding=chain": not isinstance(config.decoding, ChainConfig)
        or config.decoding.proposal is not Proposal.greedy,
        "is compared greedily: temperature=0": config.temperature > 0,
        "takes one prompt at a time: batch_size=1": config.batch_size > 1,
        "does not go on behind the end token: stop=eos": (
            config.stop is not Stop.eos and not engine.goes_on
        ),
        "runs in another process, where no part of a round can be timed: leave out "
        "measure.phases, profile, costs and fp32_control": (
            measure.phases or measure.profile or measure.costs or measure.fp32_control
        ),
    }
    for why, there in refused.items():
        if there:
            raise UserError(f"{name} {why}.")


def _check_llama_cpp(config: RunConfig) -> None:
    """What our own llama.cpp servers need."""
    if not (find_spec("gguf") and find_spec("xllamacpp")):
        raise UserError("engine=llama_cpp needs its package: pip install 'eagle_bench[llama-cpp]'.")
    if config.device not in ("auto", "cpu"):
        raise UserError("engine=llama_cpp runs on the CPU here: device=cpu.")


def _client(engine: ServedConfig, url: str) -> Client:
    key = None
    if engine.key_env is not None:
        key = os.environ.get(engine.key_env)
        if key is None:
            raise UserError(f"engine.key_env={engine.key_env} is not set in the environment.")
    return Client(url, engine.timeout_s, key)


def _meet(config: RunConfig, engine: ServedConfig) -> None:
    """Both servers are there, and serve the model that is asked for."""
    assert engine.running is not None
    try:
        for url in engine.running:
            client = _client(engine, url)
            dialect = dialect_of(config)
            try:
                dialect.read_about(client.get_json(dialect.about_path))
            except (KeyError, TypeError) as error:
                raise RunFailure(
                    f"the server at {client.url} is not what engine={engine.name} reads: its "
                    f"{dialect.about_path} has no {error}."
                ) from error
            if dialect.serves_models:
                _served_model(engine, client)
    except RunFailure as failure:
        raise UserError(str(failure)) from failure


def _served_model(engine: ServedConfig, client: Client) -> str:
    """The name under which the server serves what is asked for."""
    served = OpenAI("").read_about(client.get_json(OpenAI.about_path))["models"]
    if engine.model is None and len(served) == 1:
        return str(served[0])
    if engine.model in served:
        return str(engine.model)
    raise UserError(
        f"the server at {client.url} serves {', '.join(served) or 'nothing'}: say which with "
        f"engine.model (now {engine.model})."
    )


def _running_arms(config: RunConfig, engine: ServedConfig, session: Session) -> tuple[Arm, Arm]:
    """The user's servers."""
    assert engine.running is not None
    draft_lens = 0, config.decoding.levels
    arms = []
    for name, url, draft_len in zip(
        (BASELINE, config.decoding.name), engine.running, draft_lens, strict=True
    ):
        client = _client(engine, url)
        model = _served_model(engine, client) if dialect_of(config).serves_models else ""
        arms.append(
            ServedArm(name, client, dialect_of(config, model), draft_len, _encoder(session))
        )
    baseline, speculative = arms
    return baseline, speculative


def _encoder(session: Session) -> Callable[[str], list[int]]:
    def encode(text: str) -> list[int]:
        ids: list[int] = session.chat.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    return encode


def _llama_cpp_arms(config: RunConfig, session: Session) -> tuple[Arm, Arm]:
    """Both servers on the exported pair; the files are gone once they have read them."""
    target, head = session.target, session.drafter.head
    assert isinstance(target, target_file.Writable)
    assert isinstance(config.decoding, ChainConfig)
    assert head is not None
    if target.spec.dtype is not torch.float32:
        raise UserError("engine=llama_cpp is given the weights in float32: dtype=float32.")
    target_file.check_writable(target)
    head_file.check_writable(head.config)
    draft_len = config.decoding.draft_len
    with TemporaryDirectory(prefix="eagle_bench-gguf-") as folder:
        files = Path(folder) / "target.gguf", Path(folder) / "head.gguf"
        target_file.write_target(target, files[0])
        head_file.write_head(head, target, files[1])
        servers = []
        for head_path in (None, str(files[1])):
            serving = {
                "target": str(files[0]),
                "head": head_path,
                "draft_len": draft_len,
                "port": (port := free_port()),
                "context": target.spec.max_positions,
                "threads": torch.get_num_threads(),
            }
            command = [sys.executable, str(SCRIPT), json.dumps(serving)]
            servers.append(Server(command, port))
        for server in servers:
            server.wait("/health", START_S)
    without, drafting = (
        ServedArm(name, server.client, LlamaCpp(), length, _encoder(session), server)
        for name, server, length in (
            (BASELINE, servers[0], 0),
            (config.decoding.name, servers[1], draft_len),
        )
    )
    return without, drafting
