# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What vLLM-Omni's module of /v1/audio/speech imports: its own few files from the wheel, and stand-ins for the rest.

torch, vLLM and the engine are not here. Whatever is imported from them and only named is a class that does nothing;
what is called is below, with the names, arguments and kinds of the real one. The models are in a process of their own
(core.py), as they are there, and what they say comes back to a queue for each request.
"""

from __future__ import annotations

import asyncio
import importlib.abc
import importlib.machinery
import json
import logging
import sys
import types
import uuid
import zipimport
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy

PACKAGES = ("vllm_omni", "vllm", "torch", "torchaudio")
OPENAI = "vllm_omni.entrypoints.openai"
REAL = {
    f"{OPENAI}.{name}" for name in ("serving_speech", "audio_utils_mixin", "speech_usage", "protocol.audio")
}  # fmt: skip


class EngineDeadError(RuntimeError):
    pass


class EngineGenerateError(RuntimeError):
    pass


class TTSGenerationError(Exception):
    retryable = True


class ErrorResponse:
    def __init__(self, message: str, code: int) -> None:
        self.error = types.SimpleNamespace(message=message, code=code)


class GenerateBaseServing:
    def __init__(self, engine_client: Any, known: str) -> None:
        self.engine_client, self.model_config, self._known = engine_client, types.SimpleNamespace(), known

    async def _check_model(self, request: Any) -> ErrorResponse | None:
        return None if request.model in (None, self._known) else ErrorResponse("no such model", 404)

    def create_error_response(self, message: Any, err_type: str = "", status_code: int = 400) -> ErrorResponse:
        return ErrorResponse(str(message), int(status_code))


class Output:
    """What a request's queue gives, as the front end sees it."""

    final_output_type = "audio"

    def __init__(self, request_id: str, said: dict[str, Any]) -> None:
        samples = numpy.resize([said["level"], -said["level"]], said["samples"]).astype(numpy.float32)
        self.request_id, self.finished, self.stage_id = request_id, said["finished"], 1
        self.multimodal_output = {"audio": samples, "sr": 24000}
        self.outputs: list[Any] = []
        talker = {"num_tokens_out": said["tokens"], "finish_reason": said["reason"]}
        self.metrics = {"stage_metrics": {"0": talker, "1": {"num_tokens_out": 0}}} if said["finished"] else {}


class AsyncOmniEngine:
    """Has the process of the models."""

    def __init__(self) -> None:
        self.queues: dict[str, asyncio.Queue[dict[str, Any] | None]] = defaultdict(asyncio.Queue)
        self.headers: list[Any] = []
        self._process: asyncio.subprocess.Process | None = None

    async def add_request_async(
        self, request_id: str, prompt: Any, prompt_text: Any = None, sampling_params_list: Any = None,
        final_stage_id: int = 0, final_output_stage_ids: Any = None, arrival_time: float | None = None,
        lora_request: Any = None, tokenization_kwargs: Any = None, trace_headers: Any = None,
    ) -> None:  # fmt: skip
        asked = sampling_params_list[0]
        self._tell(
            id=request_id, text=prompt["prompt"], headers=trace_headers, limit=asked.max_tokens, whole=asked.whole
        )

    async def start(self) -> None:
        core = str(Path(__file__).with_name("core.py"))
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(sys.executable, core, stdin=pipe, stdout=pipe)
        self._reader = asyncio.create_task(self._read())

    async def stop(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            self.headers.append(said["headers"])
            self.queues[said["id"]].put_nowait(said)
        for queue in self.queues.values():  # it is gone
            queue.put_nowait(None)

    def abort(self, request_id: str) -> None:
        self._tell(abort=request_id)

    def _tell(self, **message: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")


class AsyncOmni:
    errored, mod_metrics, stage_configs = False, None, ()
    """No stage of the pipeline is a model with an adapter: the text is handed on as it is."""

    def __init__(self) -> None:
        self.engine, self.limit = AsyncOmniEngine(), None
        self.aborted: list[str] = []

    @property
    def default_sampling_params_list(self) -> list[Any]:
        return [types.SimpleNamespace(max_tokens=self.limit, extra_args=None)]

    async def _process_orchestrator_results(
        self, request_id: str, metrics: Any, final_stage_id_for_e2e: int, req_start_ts: Any, wall_start_ts: float
    ) -> AsyncIterator[Output]:
        queue = self.engine.queues[request_id]
        while (said := await queue.get()) is not None:
            yield Output(request_id, said)
            if said["finished"]:
                return
        raise EngineDeadError("the engine's process has ended")

    async def generate(
        self, prompt: Any, sampling_params: Any = None, request_id: str = "", *, sampling_params_list: Any = None,
        output_modalities: Any = None, trace_headers: Any = None, arrival_time: float | None = None,
    ) -> AsyncIterator[Output]:  # fmt: skip
        """The trace headers are not handed on, as they are not there."""
        request_id = f"{request_id}-{uuid.uuid4().hex[:8]}"
        try:
            await self.engine.add_request_async(
                request_id=request_id, prompt=prompt, sampling_params_list=sampling_params_list
            )
            async for output in self._process_orchestrator_results(request_id, None, 1, {}, 0.0):
                yield output
        except (asyncio.CancelledError, GeneratorExit):
            self.aborted.append(request_id)
            self.engine.abort(request_id)
            raise


def resolve_adapter(kind: str | None) -> None:
    return None


class OutputPolicy:
    accumulate_nonstreaming = False


def coerce_param_message_types(params: list[Any], streams: bool) -> list[Any]:
    """What is no stream is the whole at once."""
    return [types.SimpleNamespace(**vars(one) | {"whole": not streams}) for one in params]


def random_uuid() -> str:
    return uuid.uuid4().hex


def _named(*things: Any) -> dict[str, Any]:
    return {thing.__name__: thing for thing in things}


CALLED: dict[str, dict[str, Any]] = {
    "torch": {"nn": None},
    "vllm.entrypoints.generate.base.serving": _named(GenerateBaseServing),
    "vllm.entrypoints.serve.engine.protocol": _named(ErrorResponse),
    "vllm.logger": {"init_logger": logging.getLogger},
    "vllm.utils": _named(random_uuid),
    "vllm.v1.engine.exceptions": _named(EngineDeadError, EngineGenerateError),
    "vllm_omni.engine.async_omni_engine": _named(AsyncOmniEngine),
    "vllm_omni.entrypoints.async_omni": _named(AsyncOmni),
    "vllm_omni.entrypoints.utils": _named(coerce_param_message_types),
    f"{OPENAI}.tts_adapters": _named(OutputPolicy, TTSGenerationError, resolve_adapter),
}


class Nothing(type):
    """A class that is only named: in annotations, as a base, to be called for something that nobody reads."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: set() if name.startswith("all_") else None


class Empty(types.ModuleType):
    """A module that has any name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = Nothing(
            name, (), {"__init__": lambda self, *args, **kwargs: None, "__getattr__": lambda self, of: _none}
        )
        setattr(self, name, made)
        return made


def _none(*args: Any, **kwargs: Any) -> None:
    return None


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds everything below PACKAGES: REAL in `wheel`, the rest in here."""

    def __init__(self, wheel: Path) -> None:
        self._wheel = wheel

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in PACKAGES:
            return None
        if name in REAL:
            folder = "/".join(name.split(".")[:-1])
            return zipimport.zipimporter(f"{self._wheel}/{folder}").find_spec(name)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        made = Empty(spec.name)
        made.__dict__.update(CALLED.get(spec.name, {}))
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        pass
