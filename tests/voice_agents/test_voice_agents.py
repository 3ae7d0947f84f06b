# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An engine in the process of a voice agent: what it speaks stands below the framework's own span of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from otlp_sink import OtlpSink

HERE = Path(__file__).parent
SYNTHESIS = "text_to_speech sparrow"


def run(sink: OtlpSink, folder: Path, program: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "otel_tts.cli.main", "run", "--", sys.executable, str(HERE / program), *arguments]
    env = sink.env(PYTHONPATH=os.environ["PYTHONPATH"], HOME=str(folder))
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"purple otter" not in sink.raw_bytes()


def test_a_synthesis_stands_below_the_span_that_pipecat_does_not_make_current(sink: OtlpSink, tmp_path: Path) -> None:
    pytest.importorskip("pipecat", reason="pipecat wants Python 3.11")
    run(sink, tmp_path, "pipecat_agent.py", "traced")
    theirs, spoken = sink.spans("tts"), sink.spans(SYNTHESIS)
    assert len(spoken) == 2
    assert {span.parent_id for span in spoken} == {span.span_id for span in theirs}
    assert {span.trace_id for span in spoken} == {span.trace_id for span in sink.spans("conversation")}


def test_without_its_tracing_a_synthesis_is_a_trace_of_its_own(sink: OtlpSink, tmp_path: Path) -> None:
    pytest.importorskip("pipecat", reason="pipecat wants Python 3.11")
    run(sink, tmp_path, "pipecat_agent.py", "plain")
    assert [span.parent_id for span in sink.spans(SYNTHESIS)] == ["", ""]
    assert sink.spans("tts") == []


def test_a_session_of_livekit_has_the_synthesis_below_its_request(sink: OtlpSink, tmp_path: Path) -> None:
    run(sink, tmp_path, "livekit_agent.py")
    (spoken,), (request,), (session,) = (sink.spans(n) for n in (SYNTHESIS, "tts_request_run", "agent_session"))
    assert spoken.parent_id == request.span_id
    assert spoken.trace_id == session.trace_id
