# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""examples/batch.py: one trace for each file, and all of it sent when the script is over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from otlp_sink import OtlpSink
from traces import SPOKEN, assert_unsaid, stages, syntheses

TEXTS = {
    "purpleotter": SPOKEN.encode(),
    "one": b"Dawnfall.",
    "control": b"Dawnfall\x00\x07 whispers.",
    "nothing": b"",
    "emoji": "\U0001f600\U0001f600".encode(),
    "right-to-left": "مرحبا".encode(),
    "long": b" " * 1_000_000,
    "binary": b"\xff\xfe\x00",
}
SPEAKABLE, ASKED = 3, 7


def test_each_file_is_a_trace_and_its_sound_the_same_as_without(sink: OtlpSink, execute: Any, tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.txt").write_bytes(text)
    files = [*(f"{name}.txt" for name in TEXTS), "missing.txt"]
    without = execute("batch.py", *files, "--to", "without", launcher=False)
    traced = execute("batch.py", *files, "--to", "traced", launcher=True)
    assert without.returncode == traced.returncode == 1
    assert without.stdout == traced.stdout
    for said in without.stderr.splitlines():  # a line of ours may fall before the end of its line
        assert said in traced.stderr
    for name in ("purpleotter", "one", "control"):
        sound = (tmp_path / "without" / f"{name}.wav").read_bytes()
        assert len(sound) > 10_000 and (tmp_path / "traced" / f"{name}.wav").read_bytes() == sound
    assert len(list((tmp_path / "traced").iterdir())) == len(list((tmp_path / "without").iterdir())) == SPEAKABLE

    made = syntheses(sink)
    assert len(made) == len({span.trace_id for span in made}) == ASKED
    assert not any(span.parent_id for span in made)
    assert [span.attributes["tts.outcome"] for span in made] == ["ok"] * 3 + ["anomalous"] * 4
    assert [span.attributes["tts.text.length"] for span in made[:3]] == [len(text) for text in list(TEXTS.values())[:3]]
    assert made[-1].attributes["tts.text.length"] == 1_000_000
    assert stages(sink, made[1]) == ["text_frontend", "acoustic_model", "vocoder"]
    assert_unsaid(sink, ["مرحبا", "\U0001f600", "missing.txt", "purpleotter.txt"])


def test_a_script_that_succeeds_says_so(sink: OtlpSink, execute: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(SPOKEN)
    done = execute("batch.py", "a.txt", launcher=True)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    (synthesis,) = syntheses(sink)
    assert synthesis.attributes["tts.outcome"] == "ok"
    assert sink.latest("tts.requests") and sink.logs("REQ_SUCCESS")
