# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS-2.5 with its own loader on a CPU, under the launcher: to a file, streamed, and as an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from agreeing import inside, nothing_said, parts_of
from runs import REFERENCE, Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.indextts.pypi import V2_5

PLAIN, STREAMED, ARRAY = range(3)
SEGMENTS = (2, 2, 1)
SEGMENT = ["acoustic_model", "vocoder"]
BEFORE = ["text_frontend", "text_frontend"]


def test_the_table_fits_the_installed_version() -> None:
    status = look(V2_5, Installed())
    assert status.installed and status.lacking == ()


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
    """References are encoded for the first request; the later ones find what it left."""
    request = traced.requests()[which]
    encoded = ["reference_encode", "reference_encode"] if which == PLAIN else []
    wrote = ["postprocess"] if which == PLAIN else []
    assert parts_of(traced, request) == encoded + BEFORE + SEGMENT * SEGMENTS[which] + wrote


def test_gpt_and_flow_are_parts_of_the_acoustic_model(traced: Run) -> None:
    assert inside(traced, "acoustic_model") == [["gpt", "s2mel", "s2mel"]] * sum(SEGMENTS)


def test_codes_at_their_limit_were_cut(traced: Run) -> None:
    for request in traced.requests():
        facts = request.attributes
        assert facts[names.FINISH_REASON] == "length" and names.Anomaly.LIMIT_REACHED in facts[names.AUDIO_ANOMALY]
        assert facts[names.GENERATION_STEPS] == facts[names.GENERATION_LIMIT] == 8


def test_a_cpu_has_no_device_times_and_no_memory_events(traced: Run) -> None:
    for request in traced.requests():
        assert names.MEMORY_EVENT not in [event.name for event in request.events]
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


FACTS: dict[str, tuple[float, int]] = {"8 bit": (2.0, 8000), "stereo": (1.0, 96000), "hour": (3600.0, 8000)}
"""Seconds and rate of the references that can be read."""
ASKED = [
    "missing", "no audio", "8 bit", "stereo", "hour", "emotion", "vector", "generator", "no codes", "empty", "emoji",
    "right to left", "control", "long", "one of two", "one of two", "compiled",
]  # fmt: skip
FAILS = {"missing": "error", "no audio": "error", "empty": "rejected", "emoji": "rejected", "no codes": None}


@pytest.fixture(scope="session")
def treated(spoken: Any, inputs: tuple[Path, Path]) -> tuple[Run, Run]:
    """What small_indextts.py left behind, without otel-tts and with it."""
    return spoken("indextts", *inputs)


def asked(treated: tuple[Run, Run]) -> dict[str, Any]:
    return dict(zip(ASKED, treated[1].requests(), strict=True))


def test_bad_inputs_end_as_they_do_without_us(treated: tuple[Run, Run]) -> None:
    without, traced = treated
    assert traced.seen == without.seen
    kept = sorted(path.name for path in without.out.glob("*.npy"))
    assert len(kept) > 8 and sorted(path.name for path in traced.out.glob("*.npy")) == kept
    for name in kept:
        assert (traced.out / name).read_bytes() == (without.out / name).read_bytes(), name


def test_bad_inputs_are_told_apart(treated: tuple[Run, Run]) -> None:
    found = asked(treated)
    for name, outcome in FAILS.items():
        raised = treated[0].seen["raised"][name]
        if outcome is not None:
            assert raised is not None and found[name].attributes[names.OUTCOME] == outcome, name
            assert found[name].attributes[names.ERROR_TYPE].endswith(raised)
    for name in ("8 bit", "stereo", "hour", "emotion", "vector", "generator", "compiled"):
        assert found[name].attributes[names.OUTCOME] in ("ok", "anomalous"), name


@pytest.mark.parametrize("name", FACTS)
def test_a_reference_is_known_by_its_header_alone(treated: tuple[Run, Run], name: str) -> None:
    facts = asked(treated)[name].attributes
    assert (facts[names.REFERENCE_DURATION], facts["tts.reference.sample_rate"]) == FACTS[name]
    assert facts["tts.reference.size"] == (treated[1].out / f"purpleotter {name}").stat().st_size


def test_emotions(treated: tuple[Run, Run]) -> None:
    found = asked(treated)
    modes = [found[name].attributes[names.EMOTION_MODE] for name in ("hour", "emotion", "vector")]
    assert modes == ["speaker", "reference", "vector"]


def test_a_long_stream_that_is_cut_short(treated: tuple[Run, Run]) -> None:
    """Ten thousand characters: the package's own way of cutting a million of them takes minutes."""
    facts = asked(treated)["long"].attributes
    assert facts[names.TEXT_LENGTH] == 10_000 and facts[names.OUTCOME] == "cancelled"
    assert facts[names.SEGMENT_COUNT] == 1


def test_two_requests_at_once_share_the_engine_and_nothing_else(treated: tuple[Run, Run]) -> None:
    _, traced = treated
    both = [request for name, request in zip(ASKED, traced.requests(), strict=True) if name == "one of two"]
    assert len({request.trace_id for request in both}) == 2
    for request in both:
        parts = parts_of(traced, request)
        assert [part for part in parts if part != "reference_encode"] == BEFORE + SEGMENT


def test_what_is_compiled_as_one_graph_stays_one(treated: tuple[Run, Run]) -> None:
    assert treated[1].seen["raised"]["compiled"] is None


def test_nothing_of_texts_and_references_leaves(treated: tuple[Run, Run]) -> None:
    nothing_said(treated[1], "indextts")
