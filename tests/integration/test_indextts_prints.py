# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS says the text on stdout, 2.5 without being asked: nothing of that is in any byte that leaves."""

from __future__ import annotations

from pathlib import Path

from otlp_sink import OtlpSink

from otel_tts import names

CHECKOUT = Path(__file__).parents[1] / "standins" / "indextts" / "checkout"
PROGRAM = f"""
import importlib
import sys

import numpy as np
import soundfile

sys.path.insert(0, {str(CHECKOUT)!r})
TEXT = "Quincebread at dawnfall. Purpleotter whispers."
soundfile.write("marmalade.wav", 0.1 * np.sin(np.arange(22050) * 0.06), 22050)
first = importlib.import_module("indextts.infer").IndexTTS()
second = importlib.import_module("indextts.infer_v2").IndexTTS2()
third = importlib.import_module("indextts.infer_v2_5").IndexTTS2()
for verbose in (False, True):
    first.infer("marmalade.wav", TEXT, "thimble.wav", verbose=verbose)
    first.infer_fast("marmalade.wav", TEXT, "thimble.wav", verbose=verbose)
    second.infer("marmalade.wav", TEXT, "thimble.wav", use_emo_text=True, emo_text="gloomy candlewick", verbose=verbose)
    third.infer("marmalade.wav", TEXT, "thimble.wav", "en", verbose=verbose)
    list(third.infer("marmalade.wav", TEXT, None, "en", stream_return=True, verbose=verbose))
third.gpt.codes_per_token = 0
assert third.infer("marmalade.wav", TEXT, None, "en") is None
"""
WORDS = ("quincebread", "dawnfall", "purpleotter", "whispers", "candlewick", "gloomy", "marmalade", "thimble")


def test_what_the_engine_prints_never_leaves(sink: OtlpSink, script) -> None:
    done = script(PROGRAM, sink.env())
    assert done.returncode == 0, done.stderr
    assert "text after normalization: Quincebread" in done.stdout and "candlewick" in done.stdout
    requests = [span for span in sink.spans() if names.OUTCOME in span.attributes]
    assert [span.attributes[names.OUTCOME] for span in requests] == ["ok"] * 10 + ["error"]
    assert sink.logs() and sink.points()
    leaving = sink.raw_bytes().lower()
    ours = "\n".join(line for line in done.stderr.splitlines() if "REQ_" in line or "otel-tts" in line).lower()
    assert "req_fail" in ours and "contained" not in ours
    for word in WORDS:
        assert word.encode() not in leaving and word not in ours, word
