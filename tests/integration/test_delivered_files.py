# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A batch script with no line of telemetry in it that writes files: their facts arrive, their names do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from otlp_sink import OtlpSink

SECRET = "purple-otter-dossier"

SCRIPT = """
import sys
from pathlib import Path
from hibari import Hibari

folder = Path(sys.argv[0]).parent / "{secret}"
folder.mkdir()
engine = Hibari()
engine.save("The ship sails at nine.", str(folder / "one-{secret}.wav"))
(folder / "one-{secret}.wav").unlink()
engine.save("The ship sails at ten.", str(folder / "two-{secret}.wav"))
print("bytes", (folder / "two-{secret}.wav").stat().st_size)
"""


def test_a_batch_scripts_files_arrive_as_facts_and_not_as_names(
    sink: OtlpSink, script: Callable[..., Any], tmp_path: Path
) -> None:
    done = script(SCRIPT.format(secret=SECRET), sink.env())
    assert done.returncode == 0, done.stderr
    spoken = [span for span in sink.spans() if span.name.startswith("text_to_speech")]
    first, second = sorted(spoken, key=lambda span: span.start)
    size = int(done.stdout.split()[-1])
    for span in (first, second):
        assert span.attributes["tts.audio.format"] == "wav"
        assert span.attributes["tts.outcome"] == "ok" and "tts.audio.anomaly" not in span.attributes
        assert [event.name for event in span.events].count("tts.audio.file") == 1
    assert second.attributes["tts.audio.size"] == size
    (load,) = sink.spans("tts.model.load")
    assert load.parent_id in (None, "", "0" * 16) and load.attributes["tts.engine.name"] == "hibari"
    assert SECRET.encode() not in sink.raw_bytes()
    assert SECRET not in done.stderr
