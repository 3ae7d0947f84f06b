# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's own instrumentations of frameworks: their span is the request's, with its id and no second one.

It has its route's template, as each framework spells it, and never the path with what was said.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from otlp_sink import OtlpSink
from serving import Server

HERE = Path(__file__).parent
SAID = "Zebracanary7741"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DJANGO = {
    f"/speak/{SAID}/": "speak/<str:said>/",
    f"/old/{SAID}/": "^old/(?P<said>[^/]+)/$",
    f"/api/v1/{SAID}": "api/v1/<str:said>",
}
FLASK = {f"/speak/{SAID}/": "/speak/<said>/", f"/api/7/{SAID}": "/api/<int:number>/<string:said>"}


@pytest.mark.parametrize("site, routes", [("django_site", DJANGO), ("flask_site", FLASK)])
def test_a_server_span_has_its_route_and_not_its_path(
    sink: OtlpSink, tmp_path: Path, free_port: Callable[[], int], site: str, routes: dict[str, str]
) -> None:
    port = free_port()
    paths = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = sink.env(PYTHONPATH=paths, DJANGO_SETTINGS_MODULE="django_site")
    launcher = [sys.executable, "-m", "otel_tts.cli.main", "run", "--"]
    server = Server([*launcher, sys.executable, str(HERE / f"{site}.py"), str(port)], env, tmp_path, port)
    try:
        server.wait_until_it_listens()
        for number, path in enumerate((*routes, f"/missing/{SAID}")):
            answer = server.get(path, x_request_id=f"id-{number}", traceparent=CALLER)
            assert answer.status == (200 if path in routes else 404) and answer.request_ids == [f"id-{number}"]
        server.stop()
    finally:
        server.clean_up()
    served = [span for span in sink.spans() if span.kind == "SERVER"]
    templates = [*routes.values()]
    assert [span.attributes.get("http.route") for span in served] == [*templates, None]
    assert [span.name for span in served] == [*(f"GET {template}" for template in templates), "GET"]
    labels = {point.attributes.get("http.route") for point in sink.latest("http.server.request.duration")}
    assert labels - {None} == set(templates)
    assert [span.attributes["request_id"] for span in served] == [f"id-{number}" for number in range(len(routes) + 1)]
    assert {(span.trace_id, span.parent_id) for span in served} == {tuple(CALLER.split("-")[1:3])}
    assert {span.scope for span in served} == {f"opentelemetry.instrumentation.{site.partition('_')[0]}"}
    spoken = sink.spans("text_to_speech m")
    assert [span.parent_id for span in spoken] == [span.span_id for span in served[: len(routes)]]
    assert [span.attributes["request_id"] for span in spoken] == [f"id-{number}" for number in range(len(routes))]
    assert not sink.latest("otel_tts.faults")
    assert SAID.encode() not in sink.raw_bytes()
