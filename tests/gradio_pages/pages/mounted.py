# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The page as a part of a service that has routes of its own; one is called as a page's file would be."""

from __future__ import annotations

import gradio as gr
from fastapi import FastAPI
from speech import demo

app = FastAPI()


@app.get("/config")
def config() -> dict[str, str]:
    return {"mine": "yes"}


app = gr.mount_gradio_app(app, demo, path="/page")
