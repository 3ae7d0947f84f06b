# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from flask import Flask, Response
from speaking import WAYS

app = Flask(__name__)


@app.get("/<string:way>/<said>")
def answer(way: str, said: str) -> Response:
    return Response(WAYS[way](said), mimetype="audio/wav")
