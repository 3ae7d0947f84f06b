# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A probe is believed by its mark only, and is then in no metric of requests; a stranger's mark changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from otel_tts import marking, names
from otel_tts.instrumentation.edges import every
from otel_tts.instrumentation.libraries import queued_job
from otel_tts.recording import carried, request
from tests.unit.support.world import World

TOKEN = b"0123456789abcdef"
AUDIO = [0.5, -0.5] * 8000


@pytest.fixture(autouse=True)
def edge() -> Iterator[None]:
    every.instrument()
    marking.trust(TOKEN)
    yield
    marking.trust(None)
    every.uninstrument()


def asked(here: World, mark: str | None) -> None:
    """One request with `mark` as its header, which speaks, fails and waits in a queue."""

    def speak(_: Any) -> PlainTextResponse:
        with here.synthesis(request_id="r1", tts__device__fallback=True) as synthesis:
            for stage in ("queue", "acoustic_model"):
                with synthesis.stage(stage):
                    assert bool(here.points("tts.stage.open_age")) is not _is_good(mark)
            synthesis.chunk([0.0] * 16000, 16000)
        with pytest.raises(RuntimeError), here.synthesis(request_id="r2", tts__text__length=5) as synthesis:
            raise RuntimeError
        late = synthesis.stage("postprocess").open()
        late.close()
        return PlainTextResponse("")

    headers = [(marking.HEADER.encode(), mark.encode())] if mark is not None else []
    scope = {
        "type": "http", "method": "GET", "path": "/", "root_path": "", "query_string": b"", "headers": headers,
        "asgi": {"spec_version": "2.5"},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pass

    asyncio.run(Starlette(routes=[Route("/", speak)])(scope, receive, send))
    here.drain()


def _is_good(mark: str | None) -> bool:
    return mark is not None and marking.is_marked([(marking.HEADER.encode(), mark.encode())])


def of_requests(here: World) -> dict[str, Any]:
    """All points that tts.* metrics have, without those that are there anyway."""
    points = here.all_points()
    return {
        name: points[name]
        for name in points
        if name.startswith("tts.") and name != names.WATCH_PROBES.name and any(points[name].values())
    }


def test_a_marked_request_is_in_no_metric_but_the_watchers(world: Callable[..., World]) -> None:
    here = world()
    asked(here, marking.sign(TOKEN, time.time()))
    assert of_requests(here) == {}
    assert sum(here.points(names.WATCH_PROBES.name).values()) == 2
    outcomes = {name for labels in here.points(names.WATCH_PROBES.name) for name in labels}
    assert outcomes == {"anomalous", "error"}
    roots = [span for span in here.spans if span.name == names.OPERATION]
    assert [span.attributes[names.CANARY] for span in roots] == [True, True]
    ends = [line for line in here.lines() if "REQ_" in line]
    assert len(ends) == 4 and all(" canary=true" in line for line in ends)


def test_without_a_mark_the_same_request_is_in_all_of_them(world: Callable[..., World]) -> None:
    here = world()
    asked(here, None)
    counted = of_requests(here)
    for metric in (
        names.REQUESTS, names.REQUEST_DURATION, names.STAGE_DURATION, names.QUEUE_DURATION, names.AUDIO_ANOMALIES,
        names.TEXT_CHARACTERS, names.FIRST_BYTE, names.DEVICE_FALLBACKS, names.AUDIO_SECONDS, names.UNDERRUN,
    ):  # fmt: skip
        assert metric.name in counted
    assert here.points(names.WATCH_PROBES.name) == {}


def shape(here: World) -> Any:
    """What a request left, without its times and the ids that are made anew."""
    made = {span.attributes[names.REQUEST_ID] for span in here.spans if span.name == "GET /"}
    spans = [
        (span.name, {k: v for k, v in span.attributes.items() if not isinstance(v, float) and v not in made})
        for span in here.spans
    ]
    lines = [" ".join(word for word in line.split() if "." not in word) for line in here.lines()]
    return spans, lines, {name: sorted(points) for name, points in of_requests(here).items()}


@pytest.mark.parametrize(
    "mark",
    [
        "true",
        "",
        TOKEN.decode(),
        marking.sign(b"another", time.time()),
        marking.sign(TOKEN, time.time() - 3600),
        marking.sign(TOKEN, time.time() + 3600),
        marking.sign(TOKEN, time.time()) + "0",
        "9" * 10_000 + ".0",
        "²³.0",
    ],
    ids=range(9),
)
def test_a_strangers_header_changes_nothing(world: Callable[..., World], mark: str) -> None:
    plain = world()
    asked(plain, None)
    expected = shape(plain)
    strange = world()
    asked(strange, mark.encode("utf-8").decode("latin-1"))
    assert shape(strange) == expected


def test_a_right_mark_is_none_where_there_is_no_control_socket(world: Callable[..., World]) -> None:
    marking.trust(None)
    here = world()
    asked(here, marking.sign(TOKEN, time.time()))
    assert names.REQUESTS.name in of_requests(here)


def test_a_queue_and_another_process_carry_it(world: Callable[..., World]) -> None:
    here = world()
    token = request.current.set(request.Request("r", 0, canary=True))
    try:
        job = queued_job.Job(asked, None, "event")
        parcel = carried.pack()
    finally:
        request.current.reset(token)
    assert job.begin().canary
    entered = carried.Opened(parcel).enter()
    with here.synthesis(request_id="child") as synthesis:
        assert synthesis.attrs[names.CANARY]
    carried.Opened(parcel).leave(*entered)
    assert here.synthesis().attrs.get(names.CANARY) is None
