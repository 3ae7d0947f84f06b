# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whom a service believes: its callers' ids and traces, or none of them (OTEL_TTS_TRUST_CALLER=false)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import otel_tts
from otel_tts.instrumentation.edges import every
from otel_tts.recording.caller import caller_of
from otel_tts.recording.request import name_of

THEIRS = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "baggage": "said=hello"}
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


def test_who_is_trusted_is_joined() -> None:
    context, links = caller_of(THEIRS, Context(), trusts=True)
    assert trace.get_current_span(context).get_span_context().trace_id == TRACE and links == ()
    assert baggage.get_baggage("said", context) == "hello"


def test_who_is_not_is_linked_and_leaves_nothing_else() -> None:
    around = Context({"mine": 1})
    context, (link,) = caller_of({**THEIRS, "tracestate": "vendor=text"}, around, trusts=False)
    assert context is around
    assert (link.context.trace_id, link.context.span_id, link.context.is_remote) == (TRACE, SPAN, True)
    assert not link.context.trace_state and not link.attributes


@pytest.mark.parametrize("carried", [{}, {"traceparent": "nonsense"}, {"baggage": "a=b"}])
def test_who_says_nothing_is_not_linked(carried: dict[str, str]) -> None:
    assert caller_of(carried, Context(), trusts=False) == (Context(), ())


@pytest.mark.parametrize(
    ("given", "trusts", "is_theirs"),
    [(b"order-1", True, True), ("order-1", True, True), (b"order-1", False, False), (b"a b", True, False),
     (None, True, False), (None, False, False), (b"", True, False)],
)  # fmt: skip
def test_whose_id_it_is(given: bytes | str | None, trusts: bool, is_theirs: bool) -> None:
    name, said = name_of(given, trusts)
    assert said is is_theirs
    assert name == "order-1" if is_theirs else len(name) == 32


async def speak(asked: Any) -> PlainTextResponse:
    with otel_tts.synthesis("m"):
        return PlainTextResponse(asked.headers["x-request-id"])


def ask(world: Any) -> httpx.Response:
    """One request of somebody who wants it sampled, in his trace, under another client's id."""
    import asyncio

    async def main() -> httpx.Response:
        app = httpx.ASGITransport(Starlette(routes=[Route("/", speak)]))
        async with httpx.AsyncClient(transport=app, base_url="http://test") as client:
            return await client.get("/", headers={**THEIRS, "x-request-id": "order-1"})

    every.instrument()
    try:
        answer = asyncio.run(main())
    finally:
        every.uninstrument()
    world.drain()
    return answer


def test_at_the_edge_a_stranger_chooses_neither_trace_nor_id(world) -> None:
    here = world(trust_caller=False)
    answer = ask(here)
    synthesis, edge = here.spans
    assert edge.parent is None and edge.context.trace_id != TRACE
    assert [(link.context.trace_id, link.context.span_id) for link in edge.links] == [(TRACE, SPAN)]
    assert synthesis.parent.span_id == edge.context.span_id
    assert answer.headers["x-request-id"] == answer.text == edge.attributes["request_id"] != "order-1"


def test_at_the_edge_a_stranger_decides_no_sampling(world) -> None:
    here = world(trust_caller=False, sampler=ParentBased(ALWAYS_OFF))
    ask(here)
    assert here.spans == []


def test_at_the_edge_a_friend_does(world) -> None:
    here = world(sampler=ParentBased(ALWAYS_OFF))
    answer = ask(here)
    assert {span.context.trace_id for span in here.spans} == {TRACE}
    assert answer.headers["x-request-id"] == answer.text == "order-1"
