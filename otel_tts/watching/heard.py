# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether what a canary got is speech: the checks that each request's audio goes through, on the delivered bytes."""

from __future__ import annotations

import os
import tempfile
from typing import Final

from otel_tts.audio.files.comparison import judge_file
from otel_tts.audio.files.file import OpenFile, claim_of_type, read_file
from otel_tts.audio.samples.meter import AudioMeter
from otel_tts.names import SILENT_FAILURES

FAILURES: Final = SILENT_FAILURES | {"wrong_format", "codec_error"}
"""Anomalies with which a canary has failed; others are told only."""


def judge(body: bytes, media_type: str = "", pcm_rate: int = 0) -> tuple[str, ...]:
    """Return what is wrong with the audio; `pcm_rate` in Hz is that of 16-bit samples without a header."""
    if not body:
        return ("empty",)
    if pcm_rate:
        meter = AudioMeter(pcm_rate)
        meter.add_pcm(body, 2, 1, pcm_rate)
        return meter.facts().anomalies
    with tempfile.TemporaryFile() as written:
        written.write(body)
        written.flush()
        file = OpenFile(os.dup(written.fileno()), claim_of_type(media_type))
        try:
            facts = read_file(file, measure=True)
        finally:
            file.close()
    in_samples = facts.audio.anomalies if facts.audio is not None else ()
    in_file = judge_file(facts)
    unknown = ("wrong_format",) if facts.format is None and facts.audio is None else ()
    return tuple(dict.fromkeys((*in_samples, *in_file, *unknown)))
