# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import falcon
from speaking import WAYS


class Answer:
    def on_get(self, req: falcon.Request, resp: falcon.Response, way: str, said: str) -> None:
        resp.content_type = "audio/wav"
        resp.data = WAYS[way](said)


app = falcon.App()
app.add_route("/{way}/{said}", Answer())
