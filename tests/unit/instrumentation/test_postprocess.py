# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Encoding and writing audio is a stage of its request, also after the engine has returned."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import warnings
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import otel_tts
from otel_tts import guard
from otel_tts.instrumentation.libraries.encoders import watch_postprocess
from otel_tts.recording import request
from otel_tts.recording.request import Request

SAMPLES = (0.5 * np.sin(np.arange(4800) / 20)).astype(np.float32)
PCM = (SAMPLES * 32767).astype("<i2").tobytes()


@pytest.fixture(autouse=True)
def hooked() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub imports audioop, which leaves in Python 3.13
        import pydub.audio_segment  # noqa: F401
    import soundfile  # noqa: F401

    watch_postprocess()


@pytest.fixture
def web() -> Iterator[Request]:
    """Inside a web request."""
    made = Request("r1", time.perf_counter_ns())
    token = request.current.set(made)
    yield made
    request.current.reset(token)


def write_soundfile(folder: Path) -> bytes:
    import soundfile

    soundfile.write(folder / "a.wav", SAMPLES, 24000)
    return (folder / "a.wav").read_bytes()


def write_wave(folder: Path) -> bytes:
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        file.writeframes(PCM)
    return buffer.getvalue()


def export_pydub(folder: Path) -> bytes:
    from pydub import AudioSegment

    return AudioSegment(PCM, sample_width=2, frame_rate=24000, channels=1).export(io.BytesIO(), "wav").getvalue()


WRITERS = (write_soundfile, write_wave, export_pydub)


@pytest.mark.parametrize("write", WRITERS)
def test_writing_inside_a_synthesis_is_a_stage(world, tmp_path, write) -> None:
    seen = world()
    expected = write(tmp_path)
    assert seen.drain().spans == [], "outside of any request nothing is made"
    with otel_tts.synthesis("m"):
        assert write(tmp_path) == expected
    assert seen.drain().names() == ["tts.postprocess", "text_to_speech m"]


@pytest.mark.parametrize("write", WRITERS)
def test_writing_after_the_engine_returned_belongs_to_the_request(world, web, tmp_path, write) -> None:
    seen = world()
    tracer = seen.tracers.get_tracer("web")
    with tracer.start_as_current_span("POST /speech") as server:
        with otel_tts.synthesis("m"):
            pass
        seen.drain()
        write(tmp_path)
    late = seen.drain().span("tts.postprocess")
    assert late.context.trace_id == server.get_span_context().trace_id
    assert late.parent.span_id == server.get_span_context().span_id
    assert seen.span("text_to_speech m").context.trace_id == late.context.trace_id


def test_writing_after_the_engine_without_a_server_span_is_in_the_synthesis(world, web, tmp_path) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        pass
    seen.drain()
    write_wave(tmp_path)
    late, root = seen.drain().span("tts.postprocess"), seen.span("text_to_speech m")
    assert (late.context.trace_id, late.parent.span_id) == (root.context.trace_id, root.context.span_id)


def test_a_request_without_a_synthesis_has_no_stage(world, web, tmp_path) -> None:
    seen = world()
    write_wave(tmp_path)
    assert seen.drain().spans == []


@pytest.mark.parametrize("late", [False, True], ids=["inside", "after"])
def test_a_file_written_chunk_by_chunk_is_one_span(world, web, late) -> None:
    seen = world()

    def write_chunks() -> None:
        with wave.open(io.BytesIO(), "wb") as file:
            file.setparams((1, 2, 24000, 0, "NONE", ""))
            for _ in range(20):
                file.writeframes(PCM)
                file.writeframesraw(PCM)

    with otel_tts.synthesis("m"):
        if not late:
            write_chunks()
    if late:
        write_chunks()
    folded = seen.drain().span("tts.postprocess")
    assert folded.attributes["tts.stage.segments"] == 40


def ffmpeg(*arguments: Any) -> list[Any]:
    return ["ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "s16le", "-ar", "24000", "-i", "-", *arguments]


@pytest.mark.requires("ffmpeg")
def test_ffmpeg_as_a_process_is_a_stage_and_its_arguments_stay(world, web) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        pass
    command = ffmpeg("-metadata", "title=what was said", "-f", "flac", "-")
    done = subprocess.run(command, input=PCM, capture_output=True, check=True)
    assert done.stdout.startswith(b"fLaC")
    assert isinstance(done, subprocess.CompletedProcess)
    late = seen.drain().span("tts.postprocess")
    assert "what was said" not in late.to_json()


@pytest.mark.requires("ffmpeg")
def test_ffmpeg_that_fails_leaks_nothing_of_its_command(world) -> None:
    seen = world()
    command = ffmpeg("-f", "no-such-format", "what was said.wav")
    with pytest.raises(subprocess.CalledProcessError), otel_tts.synthesis("m"):
        subprocess.run(command, input=PCM, capture_output=True, check=True)
    for span in seen.drain().spans:
        assert span.attributes["error.type"] == "subprocess.CalledProcessError"
        assert "what was said" not in span.to_json()


COMMANDS = {
    "list": ["/nowhere/ffmpeg", "-i"],
    "tuple": ("sox", "-n"),
    "string": "/nowhere/lame -b 128",
    "bytes": b"/nowhere/ffmpeg",
    "path": Path("/nowhere/ffmpeg"),
    "list of paths": [Path("/nowhere/opusenc"), "a"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_known_however_it_is_written(world, monkeypatch, name) -> None:
    seen = world()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OSError), otel_tts.synthesis("m"):
        subprocess.run(COMMANDS[name])
    assert seen.drain().span("tts.postprocess").attributes["error.type"] == "FileNotFoundError"


OTHERS = {
    "another program": [sys.executable, "-c", ""],
    "a path": Path("/bin/true"),
    "an argument": [sys.executable, "-c", "", "ffmpeg"],
    "an iterator": (part for part in (sys.executable, "-c", "")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_programs_run_untouched(world, name) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        assert subprocess.run(OTHERS[name], check=True).returncode == 0
        assert subprocess.run(args=[sys.executable, "-c", ""], check=True).returncode == 0
    assert seen.drain().names() == ["text_to_speech m"]
    assert guard.faults == {}


@pytest.mark.parametrize("command", [[], "", (), [None], 7, None])
def test_a_command_that_is_none_fails_as_it_did(world, command) -> None:
    world()
    with pytest.raises((TypeError, ValueError, IndexError, OSError)), otel_tts.synthesis("m"):
        subprocess.run(command)
    assert guard.faults == {}


def test_subprocess_run_without_arguments_fails_as_it_did() -> None:
    with pytest.raises(TypeError):
        subprocess.run()
