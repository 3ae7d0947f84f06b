# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A BentoML service: ``bentoml serve bentoml_service:Speech``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import bentoml
from speech import say, say_slowly, stream, stumble


@bentoml.service(workers=1, metrics={"enabled": False})
class Speech:
    @bentoml.api
    def speak(self, text: str) -> bytes:
        if text == "broken":
            stumble(text)
        return say(text).tobytes()

    @bentoml.api
    def slow(self, text: str) -> bytes:
        return say_slowly(text)

    @bentoml.api
    async def recite(self, text: str) -> AsyncGenerator[bytes, None]:
        for samples in stream(text):
            yield samples.tobytes()
            await asyncio.sleep(0.01)  # a client can leave here
