# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from litestar import Litestar, Response, get
from speaking import WAYS


@get("/{way:str}/{said:str}", sync_to_thread=True)
def answer(way: str, said: str) -> Response[bytes]:
    return Response(WAYS[way](said), media_type="audio/wav")


app = Litestar([answer])
