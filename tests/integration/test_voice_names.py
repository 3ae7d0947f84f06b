# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""From a recording to its hash to a chosen name: what `otel-tts voice` tells is what a service sends."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

from otlp_sink import OtlpSink

Script = Callable[..., "subprocess.CompletedProcess[str]"]

SERVICE = """
    import otel_tts
    with otel_tts.synthesis("m", engine="e", text="hello", voice={path!r}) as s:
        s.set(voice_source="reference")
"""


def test_a_recording_has_the_hash_that_the_command_tells_and_then_the_chosen_name(
    sink: OtlpSink, script: Script, tmp_path: Path
) -> None:
    recording = tmp_path / "secret-singer.wav"
    recording.write_bytes(b"RIFF" * 1000)
    env = sink.env(OTEL_TTS_HASH_KEY="the service's")
    command = [str(Path(sysconfig.get_path("scripts")) / "otel-tts"), "voice", str(recording)]
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()[0]

    for names, expected in (("", told), (f"{told}=narrator one", "narrator one")):
        sink.clear()
        ended = script(SERVICE.format(path=str(recording)), {**env, "OTEL_TTS_VOICE_NAMES": names})
        assert ended.returncode == 0, ended.stderr
        (span,) = [span for span in sink.spans() if span.name.startswith("text_to_speech")]
        assert span.attributes["tts.voice"] == expected
        assert {point.attributes["tts.voice"] for point in sink.points("tts.requests")} == {expected}
        assert [line for line in ended.stderr.splitlines() if "REQ_" in line and f"voice={expected}" in line]
        assert b"secret-singer" not in sink.raw_bytes()
