# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from sanic import Request, Sanic
from sanic.response import HTTPResponse, raw
from speaking import WAYS

app = Sanic("speaks")


@app.get("/<way:str>/<said:str>")
async def answer(request: Request, way: str, said: str) -> HTTPResponse:
    return raw(await asyncio.to_thread(WAYS[way], said), content_type="audio/wav")
