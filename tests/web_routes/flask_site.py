# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Flask site that speaks: ``flask_site.py PORT``."""

from __future__ import annotations

import sys
from wsgiref.simple_server import make_server

from flask import Flask

import otel_tts

app = Flask(__name__)


@app.get("/speak/<said>/")
@app.get("/api/<int:number>/<string:said>")
def speak(said: str, number: int = 0) -> str:
    with otel_tts.synthesis("m", engine="e", text=said):
        pass
    return "spoken"


make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
