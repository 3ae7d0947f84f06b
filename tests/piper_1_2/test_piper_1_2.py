# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""piper-tts 1.2 under the launcher: good audio is not empty, and its facts are those of the samples.

These tests need an environment of their own (tests/environments/piper12.in); elsewhere they are not collected.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from otlp_sink import OtlpSink

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
RATE = 22050


def say(out: Path, *launcher: str, **env: str) -> dict[str, Any]:
    command = [*launcher, sys.executable, str(HERE / "say_piper.py"), str(out)]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]) | {"stderr": done.stderr}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What both runs left: without otel-tts and under the launcher."""
    without, out = tmp_path_factory.mktemp("without"), tmp_path_factory.mktemp("with")
    bare = say(without)
    with OtlpSink() as sink:
        seen = say(out, str(BIN / "opentelemetry-instrument"), **sink.env())
        yield bare, without, seen, out, sink


def requests(sink: OtlpSink) -> list[Any]:
    return sorted((span for span in sink.spans() if "tts.outcome" in span.attributes), key=lambda span: span.start)


def test_the_audio_is_the_same_to_the_byte(said: Any) -> None:
    bare, without, seen, out, _ = said
    names = sorted(file.name for file in without.iterdir())
    assert names == sorted(file.name for file in out.iterdir()) == ["memory.wav", "purpleotter.wav", "stream.pcm"]
    for name in names:
        assert (out / name).read_bytes() == (without / name).read_bytes()
    assert {**seen, "stderr": ""} == {**bare, "stderr": ""} == {"nothing": None, "pieces": 2, "stderr": ""}


def test_each_call_is_one_good_synthesis(said: Any) -> None:
    *_, out, sink = said
    seconds = (out / "stream.pcm").stat().st_size / 2 / RATE
    memory, disk, stream = requests(sink)
    for request in (memory, disk, stream):
        facts = request.attributes
        assert facts["tts.engine.name"] == "piper" and facts["tts.engine.version"] == "1.2.0"
        assert (facts["tts.outcome"], facts.get("tts.audio.anomaly")) == ("ok", None)
        assert facts["tts.audio.duration"] == pytest.approx(seconds)
        assert (facts["tts.audio.sample_rate"], facts["tts.audio.channels"]) == (RATE, 1)
        assert 0 < facts["tts.audio.peak"] <= 1 and facts["tts.text.length"] == 44
    assert stream.attributes["tts.stream.chunks"] == 2
    assert "tts.stream" not in memory.attributes


def test_its_parts_are_stages(said: Any) -> None:
    sink = said[-1]
    for request in requests(sink):
        stages = [span.attributes["tts.stage"] for span in sink.spans() if span.parent_id == request.span_id]
        assert sorted(stage for stage in stages if stage != "postprocess") == ["model", "model", "text_frontend"]


def test_nothing_is_missed_and_nothing_said(said: Any) -> None:
    *_, seen, _, sink = said
    assert "has no" not in seen["stderr"] and "cannot be read" not in seen["stderr"]
    assert b"purpleotter" not in sink.raw_bytes() and b"Quincebread" not in sink.raw_bytes()
    command = [sys.executable, "-c", "from otel_tts.cli.main import app; app()", "engines", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    (piper,) = [engine for engine in json.loads(told.stdout)["engines"] if engine["name"] == "piper"]
    assert (piper["version"], piper["missing"], piper["facts"]) == ("1.2.0", [], [])
