# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""vLLM-Omni's own module of /v1/audio/speech, from the wheel, in a web server; the engine behind it is a stand-in in a
process of its own."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wheel_cache

from otel_tts import guard, names
from otel_tts.engines import vllm_omni
from otel_tts.instrumentation.tables import watch
from tests.unit.support.engine_fixtures import unhooked
from tests.unit.support.world import world

__all__ = ["unhooked", "world"]

pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`:DeprecationWarning")  # the wheel's

STAND_INS = Path(__file__).parents[1] / "standins" / "vllm_omni"
TEXT = "Purpleotter hums a low tune"
PIECE = 0.25
"""Seconds a word."""


@pytest.fixture(autouse=True)
def behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The wheel's module can be imported, what it imports is a stand-in."""
    try:
        wheel = wheel_cache.wheels()["vllm-omni"]
    except wheel_cache.Unavailable as unavailable:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"vLLM-Omni's wheel is not here: {unavailable}")
    monkeypatch.setenv("SPEAKER_SAMPLES_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(STAND_INS)
    module = importlib.import_module("behind")
    finder = module.Finder(wheel)
    sys.meta_path.append(finder)
    yield module
    sys.meta_path.remove(finder)
    for name in [name for name in sys.modules if name.partition(".")[0] in (*module.PACKAGES, "behind")]:
        del sys.modules[name]


class Front:
    """The front end with its engine, on a loop."""

    def __init__(self, behind: Any, hooked: bool) -> None:
        if hooked:
            watch(vllm_omni.ENGINE)
        self.module: Any = importlib.import_module(vllm_omni.ENGINE.module)
        importlib.import_module("vllm_omni.entrypoints.async_omni")
        importlib.import_module("vllm_omni.engine.async_omni_engine")
        self.client = behind.AsyncOmni()
        self.serving = self.module.OmniOpenAIServingSpeech(self.client, "omni")

    async def ask(self, text: str = TEXT, take: int | None = None, **options: Any) -> Any:
        """Return the answer's body, or what was answered instead; `take` leaves after so many of its pieces."""
        asked = self.module.OpenAICreateSpeechRequest(input=text, **options)
        answer = await self.serving.create_speech(asked)
        if not hasattr(answer, "body_iterator"):
            return getattr(answer, "body", answer)
        parts: list[Any] = []
        try:
            async for part in answer.body_iterator:
                parts.append(part)
                if len(parts) == take:
                    break
        finally:
            await answer.body_iterator.aclose()
        return b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)


Asked = Callable[[Front], Awaitable[Any]]


def run(behind: Any, what: Asked, *, hooked: bool = True, limit: int | None = None) -> tuple[Any, Any]:
    """Return what came of `what`, and the engine's client."""

    async def inside() -> Any:
        front = Front(behind, hooked)
        front.client.limit = limit
        await front.client.engine.start()
        try:
            return await what(front), front.client
        finally:
            await front.client.engine.stop()

    return asyncio.run(inside())


def requests(seen: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    return sorted(found, key=lambda span: span.start_time)


def stages(seen: Any) -> dict[str, Any]:
    return {span.attributes[names.STAGE]: span for span in seen.drain().spans if names.STAGE in span.attributes}


STREAMED = {"stream_format": "audio", "response_format": "pcm"}
WAYS: dict[str, dict[str, Any]] = {
    "whole": {"response_format": "wav"},
    "streamed": STREAMED,
    "events": {"stream_format": "sse", "response_format": "pcm"},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_one_synthesis_and_its_bytes_are_the_same(behind, world, way) -> None:
    options = WAYS[way]
    plain, _ = run(behind, lambda front: front.ask(**options), hooked=False)
    for name in [name for name in sys.modules if name.partition(".")[0] in behind.PACKAGES]:
        del sys.modules[name]
    seen = world()
    spoken, _ = run(behind, lambda front: front.ask(**options, voice="Anna", language="English"))
    assert spoken == plain != b""
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.ENGINE], facts[names.OUTCOME]) == ("vllm-omni", "ok")
    assert facts[names.TEXT_LENGTH] == len(TEXT) and facts[names.TEXT_LANGUAGE] == "en"
    assert facts[names.VOICE_SOURCE] == "preset" and facts[names.STREAM] is (way != "whole")
    assert facts[names.AUDIO_DURATION] == pytest.approx(PIECE * len(TEXT.split()))
    assert (facts[names.FINISH_REASON], facts[names.GENERATION_STEPS]) == ("stop", len(TEXT.split()))
    assert not guard.faults


def test_the_engines_process_has_the_spans_headers_and_the_span_its_id(behind, world) -> None:
    seen = world()
    _, client = run(behind, lambda front: front.ask(**STREAMED))
    (root,) = requests(seen)
    found = stages(seen)
    assert set(found) == {"text_frontend", "remote"}
    assert all(span.context.trace_id == root.context.trace_id for span in found.values())
    assert found["remote"].kind.name == "CLIENT"
    remote = found["remote"]
    trace, span = f"{remote.context.trace_id:032x}", f"{remote.context.span_id:016x}"
    assert {headers["traceparent"] for headers in client.engine.headers} == {f"00-{trace}-{span}-01"}
    (known,) = client.engine.queues
    assert known.startswith(remote.attributes[names.REMOTE_ID])


def test_a_limit_is_told_as_the_engine_says_it(behind, world) -> None:
    seen = world()
    run(behind, lambda front: front.ask(**STREAMED), limit=2)
    (root,) = requests(seen)
    assert (root.attributes[names.FINISH_REASON], root.attributes[names.GENERATION_STEPS]) == ("length", 2)
    assert names.Anomaly.LIMIT_REACHED in root.attributes[names.AUDIO_ANOMALY]


@pytest.mark.parametrize("options", [{"model": "another"}, {"speed": 2.0, **STREAMED}], ids=["model", "speed"])
def test_a_request_that_is_refused_by_an_answer(behind, world, options) -> None:
    seen = world()
    answer, _ = run(behind, lambda front: front.ask(**options))
    assert 400 <= answer.error.code < 500
    (root,) = requests(seen)
    assert root.attributes[names.OUTCOME] == "rejected" and names.AUDIO_DURATION not in root.attributes


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_an_engine_that_is_gone_is_an_error(behind, world, way) -> None:
    seen = world()
    with pytest.raises(behind.EngineDeadError):
        run(behind, lambda front: front.ask("this is broken", **WAYS[way]))
    (root,) = requests(seen)
    assert (root.attributes[names.OUTCOME], root.attributes[names.ERROR_TYPE]) == ("error", "behind.EngineDeadError")


def test_an_engine_that_sends_half_is_an_error_with_what_was_heard(behind, world) -> None:
    seen = world()
    with pytest.raises(behind.EngineDeadError):
        run(behind, lambda front: front.ask("only half of this", **STREAMED))
    facts = requests(seen)[0].attributes
    assert (facts[names.OUTCOME], facts[names.ERROR_TYPE]) == ("error", "behind.EngineDeadError")
    assert facts[names.AUDIO_DURATION] == pytest.approx(PIECE) and facts[names.FINISH_REASON] == "aborted"


def test_a_listener_who_leaves_ends_it_in_the_engine_too(behind, world) -> None:
    seen = world()
    _, client = run(behind, lambda front: front.ask(take=1, **STREAMED))
    (root,) = requests(seen)
    assert (root.attributes[names.OUTCOME], root.attributes[names.FINISH_REASON]) == ("cancelled", "aborted")
    assert len(client.aborted) == 1


def test_requests_at_once_keep_their_parts(behind, world) -> None:
    seen = world()

    async def both(front: Front) -> None:
        await asyncio.gather(front.ask("One two three", **STREAMED), front.ask("Four", response_format="wav"))

    run(behind, both)
    roots = requests(seen)
    assert sorted(root.attributes[names.TEXT_LENGTH] for root in roots) == [4, 13]
    remote = [span for span in seen.spans if span.attributes.get(names.STAGE) == "remote"]
    assert {span.parent.span_id for span in remote} == {root.context.span_id for root in roots}


def test_an_item_of_a_batch_is_a_synthesis(behind, world) -> None:
    seen = world()

    async def batch(front: Front) -> Any:
        made = front.module.OpenAICreateSpeechRequest
        items = [made(input=text, response_format="wav") for text in ("One", "Two three")]
        return await asyncio.gather(*(front.serving._generate_audio_bytes(item) for item in items))

    run(behind, batch)
    assert sorted(root.attributes[names.TEXT_LENGTH] for root in requests(seen)) == [3, 9]


def test_a_sentence_that_was_prepared_before_its_call(behind, world) -> None:
    """As a WebSocket has them."""
    seen = world()

    async def sentence(front: Front) -> Any:
        asked = front.module.OpenAICreateSpeechRequest(input=TEXT, **STREAMED)
        return [chunk async for chunk in front.serving._iter_pcm_audio_bytes(asked)]

    assert len(run(behind, sentence)[0]) == len(TEXT.split())
    (root,) = requests(seen)
    assert root.attributes[names.TEXT_LENGTH] == len(TEXT) and root.attributes[names.OUTCOME] == "ok"
    assert root.attributes[names.AUDIO_DURATION] == pytest.approx(PIECE * len(TEXT.split()))
    assert not guard.faults


def test_nothing_that_was_said_leaves(behind, world) -> None:
    seen = world()
    run(behind, lambda front: front.ask(**STREAMED, voice="purpleotter", ref_text="purpleotter"))
    told = str([span.to_json() for span in seen.drain().spans]).lower()
    assert "vllm-omni" in told and "hums" not in told
