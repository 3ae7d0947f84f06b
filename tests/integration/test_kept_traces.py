# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_TTS_KEEP in a real service under the real launcher: whole traces of what went wrong, and the rest counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from otlp_sink import OtlpSink
from serving import Server

APP = """
    import fastapi
    import numpy
    import otel_tts

    app = fastapi.FastAPI()

    @app.get("/speak/{how}")
    def speak(how: str):
        with otel_tts.synthesis("m", engine="own", text="hello") as synthesis:
            with otel_tts.stage("model"):
                if how == "broken":
                    raise RuntimeError
            synthesis.audio(numpy.sin(numpy.arange(16000) / 10) * (0 if how == "silent" else 0.3), 16000)
        return {}
"""
CALLED = "00-{:032x}-00f067aa0ba902b7-01"


def test_traces_of_what_went_wrong_leave_whole(sink: OtlpSink, serve: Callable[..., Server]) -> None:
    env = sink.env(OTEL_SERVICE_NAME="kept", OTEL_TTS_KEEP="0", OTEL_TTS_KEEP_SLOW="60")
    server = serve(APP, ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}"], env)
    for number in range(30):
        assert server.get("/speak/well").status == 200
        if number % 10 == 0:
            assert server.get("/speak/broken").status == 500
            assert server.get("/speak/silent").status == 200
    assert server.get("/speak/well", traceparent=CALLED.format(77)).status == 200
    server.stop()

    traces = Counter(span.trace_id for span in sink.spans())
    assert len(traces) == 7
    # The server's span and the one that is sent back, the synthesis and its stage.
    assert len(set(traces.values())) == 1
    roots = sink.spans("text_to_speech m")
    assert Counter(span.attributes["tts.outcome"] for span in roots) == {"error": 3, "anomalous": 3, "ok": 1}
    assert {span.trace_id for span in roots} == set(traces)
    counted = sink.latest("tts.requests")
    assert sum(point.value for point in counted) == 37
    (gone,) = sink.latest("otel_tts.not_kept", reason="share")
    assert gone.value == 30 * next(iter(traces.values()))
    assert len(sink.logs("REQ_SUCCESS")) == 31
    named = {exemplar for point in sink.points() for exemplar in point.exemplars}
    assert named <= set(traces)
