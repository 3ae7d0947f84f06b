# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import bottle
from speaking import WAYS

app = bottle.Bottle()


@app.get("/<way>/<said>")
def answer(way: str, said: str) -> bytes:
    bottle.response.content_type = "audio/wav"
    return WAYS[way](said)
