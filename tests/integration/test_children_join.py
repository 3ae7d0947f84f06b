# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Syntheses in child processes join the trace of the request that they were asked for in, and no other."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from otlp_sink import OtlpSink

Script = Callable[..., "subprocess.CompletedProcess[str]"]

SOURCE = """
    import multiprocessing, os, sys
    from concurrent.futures import ProcessPoolExecutor
    import numpy
    from opentelemetry import trace
    import otel_tts
    from otel_tts.recording import request

    @otel_tts.stage("vocoder")
    def vocode(size):
        return numpy.full(size, 0.5, numpy.float32)

    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    def speak(text):
        return vocode(2400)

    def work(text):
        speak(text)
        return os.getpid()

    def asked(name, way):
        "One request: what `way` does belongs to it."
        token = request.current.set(request.Request(name, 0))
        try:
            with trace.get_tracer("app").start_as_current_span("GET") as span:
                assert os.getpid() not in way()
            context = span.get_span_context()
            print(name, f"{context.trace_id:032x}", f"{context.span_id:016x}", flush=True)
        finally:
            request.current.reset(token)

    def process(context):
        child = context.Process(target=work, args=("four",))
        child.start()
        child.join()
        assert child.exitcode == 0
        return [child.pid]

    if __name__ == "__main__":
        context = multiprocessing.get_context(METHOD)
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            asked("submit", lambda: [executor.submit(work, "one").result()])
            asked("map", lambda: list(executor.map(work, ["two"])))
            asked("kept", lambda: [executor.submit(work, text="six").result()])
            executor.submit(work, "nobody's").result()
        pool = context.Pool(1)
        asked("pool", lambda: pool.map(work, ["three"]))
        asked("apply", lambda: [pool.apply(work, ("five",))])
        asked("imap", lambda: list(pool.imap_unordered(work, ["seven"])))
        pool.apply(work, ("nobody's",))
        pool.close()
        pool.join()
        asked("process", lambda: process(context))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_request_has_its_childrens_work_and_nothing_else(sink: OtlpSink, script: Script, method: str) -> None:
    ended = script(SOURCE.replace("METHOD", repr(method)), sink.env(), timeout=180)
    assert ended.returncode == 0, ended.stderr
    requests = [line.split() for line in ended.stdout.splitlines()]
    assert [name for name, *_ in requests] == ["submit", "map", "kept", "pool", "apply", "imap", "process"]
    syntheses = [span for span in sink.spans() if span.name.startswith("text_to_speech")]
    for name, trace_id, span_id in requests:
        (mine,) = [span for span in syntheses if span.trace_id == trace_id]
        assert mine.parent_id == span_id
        assert mine.attributes["request_id"] == name
        (stage,) = [span for span in sink.spans("tts.vocoder") if span.trace_id == trace_id]
        assert stage.parent_id == mine.span_id
    nobodys = [span for span in syntheses if span.trace_id not in {trace_id for _, trace_id, _ in requests}]
    assert [bool(span.parent_id) for span in nobodys] == [False, False]
    assert len({span.trace_id for span in nobodys}) == 2
