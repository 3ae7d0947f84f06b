# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is the same to be asked of every engine that runs here."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from runs import Run

from otel_tts import names

WORDS = ("quincebread", "dawnfall", "purpleotter", "whispers")


def same_audio(without: Run, traced: Run, *files: str) -> None:
    for file in files:
        audio = (without.out / f"{file}.npy").read_bytes()
        assert len(audio) > 1000, file
        assert (traced.out / f"{file}.npy").read_bytes() == audio, file


def nothing_said(traced: Run, engine: str) -> None:
    ours = "\n".join(line for line in traced.stderr.splitlines() if "otel-tts" in line or "REQ_" in line)
    assert "REQ_START" in ours and engine.encode() in traced.raw
    assert "contained" not in ours, ours
    for word in WORDS:
        assert word.encode() not in traced.raw.lower()
        assert word not in ours.lower()


def samples_agree(request: Any, samples: Any, rate: int) -> None:
    facts = request.attributes
    assert facts[names.AUDIO_SAMPLE_RATE] == rate and facts[names.AUDIO_CHANNELS] == 1
    assert facts[names.AUDIO_DURATION] == pytest.approx(len(samples) / rate)
    assert facts[names.AUDIO_PEAK] == pytest.approx(np.abs(samples).max(), rel=1e-3)
    assert facts[names.AUDIO_RMS] == pytest.approx(np.sqrt(np.mean(np.square(samples))), rel=1e-3)


def parts_of(traced: Run, request: Any) -> list[str]:
    """The stages directly under the request; they lie inside it, one after the other."""
    found = [stage for stage in traced.stages(request) if stage.parent_id == request.span_id]
    for earlier, later in itertools.pairwise(found):
        assert earlier.end <= later.start, (earlier.name, later.name)
    assert all(request.start <= stage.start and stage.end <= request.end for stage in found)
    return [stage.attributes[names.STAGE] for stage in found]


def inside(traced: Run, stage: str) -> list[list[str]]:
    """What each stage of this kind has inside."""
    spans = [span for span in traced.spans if span.attributes.get(names.STAGE) == stage]
    return [
        [child.attributes[names.STAGE] for child in traced.spans if child.parent_id == span.span_id] for span in spans
    ]
