# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS-2.5 with its own loader on a CPU, under the launcher: to a file, streamed, and as an array."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from runs import REFERENCE, Run

from otel_tts import names
from otel_tts.instrumentation.engines.indextts import ENGINE
from otel_tts.instrumentation.hooks import inspect_engine

PLAIN, STREAMED, ARRAY = range(3)
SEGMENTS = (2, 2, 1)
SEGMENT = ["acoustic_model", "s2mel", "s2mel", "vocoder"]
BEFORE = ["reference_encode", "reference_encode", "text_frontend", "text_frontend"]


def test_the_table_fits_the_installed_version() -> None:
    assert inspect_engine(ENGINE).missing == ()


@pytest.mark.parametrize("name", ["plain.wav", "stream.npy", "array.npy"])
def test_the_audio_is_the_same_to_the_byte(without: Run, traced: Run, name: str) -> None:
    audio = (without.out / name).read_bytes()
    assert len(audio) > 1000
    assert (traced.out / name).read_bytes() == audio


def test_nothing_is_initialised_and_torch_is_not_imported_by_us(without: Run, traced: Run) -> None:
    assert traced.seen == without.seen | {"ours_first": True}
    assert traced.seen["initialized"] is False


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert [request.name for request in requests] == ["text_to_speech indextts-2.5"] * 3
    assert len({request.trace_id for request in requests}) == 3
    for request, segments in zip(requests, SEGMENTS, strict=True):
        facts = request.attributes
        assert facts[names.ENGINE] == "indextts" and facts[names.ENGINE_VERSION] == "0.2.0"
        assert facts[names.TEXT_LENGTH] == 46 and facts[names.TEXT_LANGUAGE] == "fr"
        assert facts[names.VOICE_SOURCE] == "reference" and facts[names.EMOTION_MODE] == "speaker"
        assert facts[names.VOICE].startswith("v-") and facts[names.DEVICE] == "cpu"
        assert facts[names.SEGMENT_COUNT] == segments
    assert [request.attributes.get(names.STREAM) for request in requests] == [None, True, None]
    assert [request.attributes[names.REFERENCE_CACHE_HIT] for request in requests] == [False, True, True]


@pytest.mark.parametrize("which", [PLAIN, STREAMED, ARRAY])
def test_every_part_of_the_engine_is_a_stage(traced: Run, which: int) -> None:
    request = traced.requests()[which]
    stages = traced.stages(request)
    wrote = ["postprocess"] if which == PLAIN else []
    assert [stage.attributes[names.STAGE] for stage in stages] == BEFORE + SEGMENT * SEGMENTS[which] + wrote
    assert {stage.parent_id for stage in stages} == {request.span_id}
    for earlier, later in itertools.pairwise(stages):
        assert earlier.end <= later.start
    assert request.start <= stages[0].start and stages[-1].end <= request.end


def test_a_cpu_has_no_device_times_and_no_memory_events(traced: Run) -> None:
    for request in traced.requests():
        assert request.events == ()
        for stage in traced.stages(request):
            assert stage.events == () and stage.attributes[names.TIMING_MODE] == "host"
    gpu = {key for span in traced.spans for key in span.attributes if key.startswith(("gpu.", "hw."))}
    assert gpu == {names.TIMING_MODE}


def test_the_facts_of_a_stream_are_those_of_its_samples(traced: Run) -> None:
    samples = np.load(traced.out / "stream.npy")
    facts = traced.requests()[STREAMED].attributes
    agree(facts, samples, 22050)
    assert facts[names.STREAM_CHUNKS] == traced.seen["chunks"] == 3


def test_the_facts_of_a_file_and_of_an_array_are_those_of_their_samples(traced: Run) -> None:
    requests = traced.requests()
    agree(requests[PLAIN].attributes, *soundfile.read(traced.out / "plain.wav"))
    agree(requests[ARRAY].attributes, np.load(traced.out / "array.npy") / 32768, 22050)


def agree(facts: Any, samples: Any, rate: int) -> None:
    assert facts[names.AUDIO_SAMPLE_RATE] == rate and facts[names.AUDIO_CHANNELS] == 1
    assert facts[names.AUDIO_DURATION] == pytest.approx(len(samples) / rate)
    assert facts[names.AUDIO_PEAK] == pytest.approx(np.abs(samples).max(), rel=1e-3)
    assert facts[names.AUDIO_RMS] == pytest.approx(np.sqrt(np.mean(np.square(samples))), rel=1e-3)


def test_neither_text_nor_reference_leaves(traced: Run) -> None:
    ours = "\n".join(line for line in traced.stderr.splitlines() if "otel-tts" in line or "REQ_" in line)
    assert "REQ_START" in ours and b"indextts" in traced.raw
    for word in ("quincebread", "dawnfall", "purpleotter", "whispers", Path(REFERENCE).stem):
        assert word.encode() not in traced.raw.lower()
        assert word not in ours.lower()
