# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A FastAPI application as a deployment of Ray Serve. Serves on the port that it is given until its stdin closes."""

from __future__ import annotations

import sys

import ray
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from ray import serve

app = FastAPI()


@serve.deployment
@serve.ingress(app)
class Speech:
    @app.post("/tts")
    def tts(self, text: str) -> Response:
        from speech import say

        return Response(say(text).tobytes(), media_type="audio/pcm")

    @app.post("/slow")
    def slow(self, text: str) -> Response:
        from speech import say_slowly

        return Response(say_slowly(text), media_type="audio/pcm")

    @app.post("/stream")
    def stream(self, text: str) -> StreamingResponse:
        from speech import stream_slowly

        return StreamingResponse(stream_slowly(text), media_type="audio/pcm")


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), sys.argv[2]
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, _temp_dir=folder)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Speech.bind())
    print("serving", flush=True)
    sys.stdin.read()
    ray.shutdown()
