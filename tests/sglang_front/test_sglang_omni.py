# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""SGLang-Omni's own front end from its wheel: its web application, client and coordinator, and by its own protocol a
stand-in of the process of a model."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import wheel_cache

from otel_tts import guard, names
from otel_tts.engines import sglang_omni
from otel_tts.instrumentation.tables import watch
from otel_tts.testing.fixtures import telemetry
from tests.unit.support.engine_fixtures import unhooked
from tests.unit.support.world import world

__all__ = ["telemetry", "unhooked", "world"]

STAND_INS = Path(__file__).parents[1] / "standins" / "sglang_omni"
TEXT = "Purpleotter hums a tune"
WORD = 0.1
"""Seconds that one takes."""
URL = "/v1/audio/speech"
STREAMED = {"stream": True, "response_format": "pcm"}


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a folder: it has packages without an ``__init__``, which are not found in an archive."""
    try:
        wheel = wheel_cache.wheels()["sglang-omni"]
    except wheel_cache.Unavailable as unavailable:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"SGLang-Omni's wheel is not here: {unavailable}")
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture(autouse=True)
def wheel(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """It can be imported, and is forgotten afterwards."""
    monkeypatch.syspath_prepend(STAND_INS)
    monkeypatch.syspath_prepend(unpacked)
    yield unpacked
    for name in [name for name in sys.modules if name.partition(".")[0] in ("sglang_omni", "sglang", "torch")]:
        del sys.modules[name]


class Front:
    """The web application, and the process behind it."""

    def __init__(self, wheel: Path, folder: str, hooked: bool) -> None:
        if hooked:
            watch(sglang_omni.ENGINE)
        ends = [f"ipc://{folder}/{name}" for name in ("receive", "coordinator", "abort")]
        coordinators = importlib.import_module("sglang_omni.pipeline.coordinator")
        self.coordinator = coordinators.Coordinator(ends[1], ends[2], "speaks", terminal_stages=["speaks"])
        self.coordinator.register_stage("speaks", ends[0])
        client = importlib.import_module("sglang_omni.client").Client(self.coordinator)
        self.app = importlib.import_module("sglang_omni.serve.openai_api").create_app(client, model_name="small")
        paths = os.pathsep.join([str(wheel), str(STAND_INS)])
        stage = [sys.executable, str(STAND_INS / "stage.py"), *ends]
        self.process = subprocess.Popen(stage, env=os.environ | {"PYTHONPATH": paths})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Front]:
        await self.coordinator.start()
        loop = asyncio.create_task(self.coordinator.run_completion_loop())
        try:
            yield self
        finally:
            await self.coordinator.shutdown_stages()
            await asyncio.to_thread(self.process.wait, 60)
            loop.cancel()
            await self.coordinator.stop()

    async def ask(self, text: str = TEXT, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here", timeout=60) as client:
            return await client.post(URL, json={"input": text, "model": "small", **options}, headers=headers)


def run(wheel: Path, what: Callable[[Front], Awaitable[Any]], hooked: bool = True) -> Any:
    async def inside() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            async with Front(wheel, folder, hooked).running() as front:
                return await what(front)

    try:
        return asyncio.run(inside())
    finally:
        importlib.import_module("sglang_omni.pipeline.control_plane").ControlPlaneContext.close()


def requests(seen: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    return sorted(found, key=lambda span: span.start_time)


WAYS: dict[str, dict[str, Any]] = {
    "whole": {"response_format": "wav"}, "streamed": STREAMED, "events": STREAMED | {"stream_format": "sse"},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_one_synthesis_and_its_bytes_are_the_same(wheel, world, way) -> None:
    options = WAYS[way]
    plain = run(wheel, lambda front: front.ask(**options), hooked=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "sglang_omni"]:
        del sys.modules[name]
    seen = world()
    spoken = run(wheel, lambda front: front.ask(**options, language="English"))
    assert (spoken.status_code, plain.status_code) == (200, 200)
    assert spoken.content == plain.content != b""
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.ENGINE], facts[names.MODEL], facts[names.OUTCOME]) == ("sglang-omni", "small", "ok")
    assert facts[names.TEXT_LENGTH] == len(TEXT) and facts[names.TEXT_LANGUAGE] == "en"
    assert facts[names.VOICE_SOURCE] == "default" and facts[names.STREAM] is (way != "whole")
    assert facts[names.AUDIO_DURATION] == pytest.approx(WORD * len(TEXT.split()))
    assert (facts[names.FINISH_REASON], facts[names.GENERATION_STEPS]) == ("stop", len(TEXT.split()))
    (remote,) = [span for span in seen.spans if span.attributes.get(names.STAGE) == "remote"]
    assert remote.kind.name == "CLIENT" and remote.context.trace_id == root.context.trace_id
    assert remote.attributes[names.REMOTE_ID] == spoken.headers["x-request-id"]
    assert not guard.faults


def test_below_the_web_edge_it_is_the_callers_trace_and_has_the_id_of_the_answer(wheel, telemetry) -> None:
    """The id is the front end's own, which the model's process has in its logs."""
    telemetry.launch()
    trace = "0af7651916cd43dd8448eb211c80319c"
    caller = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "x-request-id": "mine"}
    answer = run(wheel, lambda front: front.ask(headers=caller, **STREAMED))
    server, root = telemetry.span(f"POST {URL}"), telemetry.span("text_to_speech")
    assert f"{server.context.trace_id:032x}" == trace and root.parent.span_id == server.context.span_id
    own = answer.headers["x-request-id"]
    assert own.startswith("speech-") and root.attributes[names.REQUEST_ID] == own
    assert telemetry.span("tts.remote").attributes[names.REMOTE_ID] == own


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_a_limit_is_told_as_the_model_says_it(wheel, world, way) -> None:
    seen = world()
    run(wheel, lambda front: front.ask(max_new_tokens=2, **WAYS[way]))
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.FINISH_REASON], facts[names.GENERATION_LIMIT]) == ("length", 2)
    assert facts[names.AUDIO_DURATION] == pytest.approx(2 * WORD)


def test_a_reason_that_the_client_fills_in_is_none(wheel, world) -> None:
    seen = world()
    answer = run(wheel, lambda front: front.ask("this is mute", **WAYS["whole"]))
    assert answer.headers["x-finish-reason"] == "unknown"
    (root,) = requests(seen)
    assert root.attributes[names.OUTCOME] == "ok" and names.FINISH_REASON not in root.attributes


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_a_model_that_fails_is_an_error(wheel, world, way) -> None:
    seen = world()
    answer = run(wheel, lambda front: front.ask("this is broken", **WAYS[way]))
    assert answer.status_code == 500
    (root,) = requests(seen)
    assert (root.attributes[names.OUTCOME], root.attributes[names.ERROR_TYPE]) == ("error", "RuntimeError")


def test_a_listener_who_leaves_is_told_to_the_model(wheel, world) -> None:
    seen = world()

    async def leave(front: Front) -> None:
        client = front.app.state.client
        types = importlib.import_module("sglang_omni.client.types")
        asked = types.GenerateRequest(prompt="slow words", metadata={"task": "tts"}, output_modalities=["audio"])
        stream = client.generate(asked, request_id="gone")
        await anext(stream)
        await stream.aclose()
        assert not front.coordinator.requests

    run(wheel, leave)
    (root,) = requests(seen)
    assert (root.attributes[names.OUTCOME], root.attributes[names.FINISH_REASON]) == ("cancelled", "aborted")


def test_requests_at_once_and_those_that_are_no_speech(wheel, world) -> None:
    seen = world()

    async def several(front: Front) -> None:
        types = importlib.import_module("sglang_omni.client.types")
        chat = types.GenerateRequest(prompt="no speech", stream=False)
        client = front.app.state.client
        await asyncio.gather(
            front.ask("One two", **STREAMED), front.ask("Three"), client.completion(chat, request_id="c")
        )

    run(wheel, several)
    roots = requests(seen)
    assert sorted(root.attributes[names.TEXT_LENGTH] for root in roots) == [5, 7]
    remote = [span for span in seen.spans if span.attributes.get(names.STAGE) == "remote"]
    assert {span.parent.span_id for span in remote} == {root.context.span_id for root in roots}


def test_a_request_that_is_refused_is_no_synthesis(wheel, world) -> None:
    seen = world()
    answer = run(wheel, lambda front: front.ask("  "))
    assert answer.status_code == 400 and requests(seen) == []


def test_nothing_that_was_said_leaves(wheel, world) -> None:
    seen = world()
    run(wheel, lambda front: front.ask(**STREAMED, ref_audio="data:audio/wav;base64,AAAA", ref_text="purpleotter"))
    told = str([span.to_json() for span in seen.drain().spans]).lower()
    assert "sglang-omni" in told and "purpleotter" not in told and "hums" not in told
