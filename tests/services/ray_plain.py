# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A plain callable as a deployment of Ray Serve. Serves on the port that it is given until its stdin closes."""

from __future__ import annotations

import asyncio
import sys

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse


@serve.deployment
class Speech:
    async def __call__(self, request: Request) -> Response:
        from speech import say, say_slowly, stream_slowly, stumble

        text = (await request.body()).decode()
        if request.url.path == "/stream":
            return StreamingResponse(stream_slowly(text), media_type="audio/pcm")
        if request.url.path == "/slow":
            return Response(await asyncio.to_thread(say_slowly, text), media_type="audio/pcm")
        if text == "broken":
            stumble(text)
        return Response(say(text).tobytes(), media_type="audio/pcm")


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), sys.argv[2]
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, _temp_dir=folder)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Speech.bind())
    print("serving", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()
