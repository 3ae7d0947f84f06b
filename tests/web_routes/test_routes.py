# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A server span has its route's template, as each framework spells it, and never the path with what was said."""

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
        for path in (*routes, f"/missing/{SAID}"):
            assert server.get(path).status == (200 if path in routes else 404)
        server.stop()
    finally:
        server.clean_up()
    served = [span for span in sink.spans() if span.kind == "SERVER"]
    templates = [*routes.values()]
    assert [span.attributes.get("http.route") for span in served] == [*templates, None]
    assert [span.name for span in served] == [*(f"GET {template}" for template in templates), "GET"]
    labels = {point.attributes.get("http.route") for point in sink.latest("http.server.request.duration")}
    assert labels - {None} == set(templates)
    assert len([span for span in sink.spans() if span.name == "text_to_speech m"]) == len(routes)
    assert SAID.encode() not in sink.raw_bytes()
