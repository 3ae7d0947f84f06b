# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import sys

from aiohttp import web
from speaking import WAYS


async def answer(request: web.Request) -> web.Response:
    way, said = request.match_info["way"], request.match_info["said"]
    return web.Response(body=await asyncio.to_thread(WAYS[way], said), content_type="audio/wav")


app = web.Application()
app.add_routes([web.get("/{way}/{said}", answer)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
