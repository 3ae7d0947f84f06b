# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from quart import Quart, Response
from speaking import WAYS

app = Quart(__name__)


@app.get("/<string:way>/<said>")
async def answer(way: str, said: str) -> Response:
    return Response(await asyncio.to_thread(WAYS[way], said), mimetype="audio/wav")
