"""From settings to the two arms of a run: our loop's, or an engine's."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

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
from eagle_bench.data.prompt import Prompt
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.engines import launch_llama_cpp, launch_vllm
from eagle_bench.engines.http import Client
from eagle_bench.engines.launch import Launch, context_of, start
from eagle_bench.engines.llama_cpp import LlamaCpp
from eagle_bench.engines.openai import OpenAI
from eagle_bench.engines.served import Dialect, ServedArm
from eagle_bench.engines.session import Session
from eagle_bench.engines.sglang import SGLang
from eagle_bench.engines.shelf import Servers
from eagle_bench.engines.vllm import Vllm
from eagle_bench.errors import RunFailure, UserError
from eagle_bench.models import gguf_writer as target_file
from eagle_bench.records.generation import BASELINE, Arm


class Arms(NamedTuple):
    """Both arms of one engine; `about` is what a result tells of it, plain JSON types."""

    baseline: Arm
    speculative: Arm
    about: dict[str, Any]


def build_arms(
    config: RunConfig, session: Session, prompts: Sequence[Prompt], logs: Path | None = None
) -> Arms:
    """The baseline and the speculative arm, of one engine.

    Parameters
    ----------
    prompts : sequence of Prompt
        What the arms will be given: servers that are started get room for them.
    logs : Path or None
        The folder for what such servers print; None where none is started.

    Raises
    ------
    UserError
        The engine cannot run this pair.
    RunFailure
        Its server does not start.
    """
    engine, target, head = config.engine, session.target, session.drafter.head
    about: dict[str, Any] = {"name": engine.name}
    match engine:
        case ServedConfig() if engine.running is not None:
            session.shelf.clear()
            clients = [_client(engine, url) for url in engine.running]
            told = [{"url": client.url} for client in clients]
            return _served_arms(config, engine, session, about, clients, told)
        case LlamaCppConfig():
            assert isinstance(target, target_file.Writable)
            assert head is not None
            launch_llama_cpp.check_pair(target, head)
            about["package"] = launch_llama_cpp.installed_version()
            ready_s, draft_len = launch_llama_cpp.READY_S, config.decoding.levels
            write = partial(launch_llama_cpp.launches, target, head, draft_len)
        case VllmConfig():
            assert head is not None
            launch_vllm.check_pair(config.model, head)
            ready_s, draft_len = launch_vllm.READY_S, config.decoding.levels
            write = partial(
                launch_vllm.launches, engine, config.model, target.spec, head, draft_len
            )
        case _:
            session.shelf.clear()
            drafter = session.drafter.drafter
            return Arms(
                build_baseline(config, target), build_speculative(config, target, drafter), about
            )
    assert logs is not None
    servers = _own_servers(config, session, prompts, logs, write, ready_s)
    clients = [server.client for server in servers]
    commands = [{"command": server.command} for server in servers]
    return _served_arms(config, engine, session, about, clients, commands)


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
            launch_llama_cpp.check_installed()
        case VllmConfig():
            launch_vllm.check_installed(engine)
        case _:
            raise UserError(
                f"{name} measures running servers: engine.url=http://HOST:PORT (with drafts) and "
                "engine.baseline_url=http://HOST:PORT (without)."
            )
    refused = {
        "is started on the CPU: device=cpu": (
            engine.running is None and config.device not in ("auto", "cpu")
        ),
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


def _served_arms(
    config: RunConfig,
    engine: ServedConfig,
    session: Session,
    about: dict[str, Any],
    clients: Sequence[Client],
    told: Sequence[dict[str, Any]],
) -> Arms:
    """Arms of two servers, without drafts and with them; `told` is what is known of each."""
    names, draft_lens = (BASELINE, config.decoding.name), (0, config.decoding.levels)
    arms, servers = [], []
    for name, draft_len, client, known in zip(names, draft_lens, clients, told, strict=True):
        serves = dialect_of(config).serves_models
        model = _served_model(engine, client) if serves else ""
        dialect = dialect_of(config, model)
        arms.append(ServedArm(name, client, dialect, draft_len, _encoder(session)))
        servers.append(known | dialect.read_about(client.get_json(dialect.about_path)))
    without, drafting = arms
    return Arms(without, drafting, about | {"servers": servers})


def _encoder(session: Session) -> Callable[[str], list[int]]:
    def encode(text: str) -> list[int]:
        ids: list[int] = session.chat.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    return encode


def _own_servers(
    config: RunConfig,
    session: Session,
    prompts: Sequence[Prompt],
    logs: Path,
    write: Callable[[int, Path], tuple[Launch, Launch]],
    ready_s: float,
) -> Servers:
    """Our two servers on what `write` puts into a folder, which is gone once they have read it."""
    names = BASELINE, config.decoding.name
    context = context_of(config, session, prompts)

    def started() -> Servers:
        with TemporaryDirectory(prefix="eagle_bench-") as folder:
            files = [logs / f"server_{name}.log" for name in names]
            return start(write(context, Path(folder)), files, ready_s)

    fit = (session.target, session.drafter.head, config.engine, config.decoding, context)
    return session.shelf.take((*fit, torch.get_num_threads()), started)
