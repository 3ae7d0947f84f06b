# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response
from speaking import WAYS


def answer(request: Any) -> Response:
    return Response(body=WAYS[request.matchdict["way"]](request.matchdict["said"]), content_type="audio/wav")


with Configurator() as config:
    config.add_route("answer", "/{way}/{said}")
    config.add_view(answer, route_name="answer")
    app = config.make_wsgi_app()
