# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service as one writes it at first: an `async def` that calls the engine."""

from __future__ import annotations

import time

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import otel_tts

SECONDS = 0.8


def stand_still(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


@otel_tts.synthesis("small", engine="slow", text_argument="text")
def synthesize(text: str) -> None:
    stand_still(SECONDS)


async def load_a_voice(request: object) -> PlainTextResponse:
    stand_still(2 * SECONDS)
    return PlainTextResponse("done")


async def speak(request: object) -> PlainTextResponse:
    synthesize("purpleotter")
    return PlainTextResponse("done")


async def ready(request: object) -> PlainTextResponse:
    return PlainTextResponse("yes")


app = Starlette(
    routes=[Route("/speak", speak, methods=["POST"]), Route("/voice", load_a_voice), Route("/ready", ready)]
)
