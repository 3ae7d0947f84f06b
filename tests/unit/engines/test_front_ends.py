# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of web servers' handlers: the body of an answer goes on with the synthesis, an answer may be an error, and
whatever goes on in another process has W3C headers."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

from otel_tts import guard, names
from otel_tts.engines.table import Chunk, Engine, Entry, Seam, Stage

SOURCE = """
class Answer:
    def __init__(self, body_iterator, status_code=200):
        self.body_iterator, self.status_code = body_iterator, status_code

class Sealed:
    __slots__ = ("_body",)

    def __init__(self, body):
        self._body = body

    @property
    def body_iterator(self):
        return self._body

def pieces(text):
    for letter in text:
        yield model(letter)

async def pieces_later(text):
    for letter in text:
        yield model(letter)

def handle(text, sealed=False):
    made = pieces(text)
    return Sealed(made) if sealed else Answer(made)

async def handle_later(text, status=200):
    if status != 200:
        return Answer(None, status)
    await submit("id", text)
    return Answer(pieces_later(text))

def model(letter):
    if letter == "!":
        raise RuntimeError("broken")
    return [0.1, -0.1] * 800

given = []

async def submit(request_id, prompt, trace_headers=None, priority=0):
    given.append(trace_headers)
"""


def status(answer: Any) -> int | None:
    return answer.status_code if getattr(answer, "status_code", 200) >= 400 else None


@pytest.fixture
def server(module, telemetry) -> Any:
    name = module(SOURCE)
    telemetry.watch(
        Engine(
            name="front", module=name, distribution="", sample_rate=16000,
            entries=(
                Entry("handle", chunk=Chunk(), body="body_iterator", error=status),
                Entry("handle_later", chunk=Chunk(), body="body_iterator", error=status),
            ),
            seams=(
                Seam("model", Stage.MODEL, fold=True),
                Seam("submit", "submit", headers="trace_headers"),
            ),
        )
    )  # fmt: skip
    return importlib.import_module(name)


async def heard(server: Any, text: str, take: int | None = None) -> int:
    answer, count = await server.handle_later(text), 0
    async for _ in answer.body_iterator:
        count += 1
        if count == take:
            break
    await answer.body_iterator.aclose()
    return count


def root(telemetry: Any) -> Any:
    return telemetry.span("text_to_speech")


def test_the_synthesis_goes_on_with_the_answers_body(server, telemetry) -> None:
    answer = server.handle("abc")
    assert type(answer) is server.Answer and len(list(answer.body_iterator)) == 3
    facts = root(telemetry).attributes
    assert facts[names.AUDIO_DURATION] == pytest.approx(0.3)
    assert (facts[names.OUTCOME], facts[names.STREAM], facts[names.STREAM_CHUNKS]) == ("ok", True, 3)
    assert telemetry.span("tts.model").parent.span_id == root(telemetry).context.span_id
    assert not guard.faults


def test_so_does_that_of_a_coroutines_answer(server, telemetry) -> None:
    assert asyncio.run(heard(server, "abc")) == 3
    assert root(telemetry).attributes[names.AUDIO_DURATION] == pytest.approx(0.3)


def test_a_listener_who_leaves_the_body(server, telemetry) -> None:
    assert asyncio.run(heard(server, "abc", take=1)) == 1
    assert root(telemetry).attributes[names.OUTCOME] == "cancelled"


def test_an_answer_whose_body_nobody_takes(server, telemetry) -> None:
    server.handle("abc")
    assert root(telemetry).attributes[names.OUTCOME] == "cancelled"


def test_an_error_in_the_body_is_the_requests(server, telemetry) -> None:
    with pytest.raises(RuntimeError):
        list(server.handle("a!").body_iterator)
    assert root(telemetry).attributes[names.OUTCOME] == "error"


def test_an_answer_that_takes_no_other_body_is_handed_over_as_it_is(server, telemetry) -> None:
    assert len(list(server.handle("abc", sealed=True).body_iterator)) == 3
    telemetry.drain()
    assert guard.faults
    guard.faults.clear()


@pytest.mark.parametrize(("code", "outcome"), [(404, "rejected"), (429, "rejected"), (500, "error"), (503, "error")])
def test_an_answer_with_a_status(server, telemetry, code, outcome) -> None:
    asyncio.run(server.handle_later("abc", code))
    assert root(telemetry).attributes[names.OUTCOME] == outcome


def test_the_headers_are_those_of_the_span_around(server, telemetry) -> None:
    asyncio.run(heard(server, "abc"))
    around = root(telemetry).context
    assert server.given == [{"traceparent": f"00-{around.trace_id:032x}-{around.span_id:016x}-01"}]


def test_headers_that_the_caller_gives_stay(server, telemetry) -> None:
    import otel_tts

    async def submitted() -> None:
        with otel_tts.synthesis("mine"):
            await server.submit("id", "abc", trace_headers={"traceparent": "mine"})
            await server.submit("id", "abc", {"traceparent": "by position"})
        await server.submit("id", "outside of any")

    asyncio.run(submitted())
    assert server.given == [{"traceparent": "mine"}, {"traceparent": "by position"}, None]
