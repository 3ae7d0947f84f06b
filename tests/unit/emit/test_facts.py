# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a finished synthesis says about itself. Times and ratios: tests/unit/recording/test_times.py."""

from __future__ import annotations

import numpy as np
import pytest

from otel_tts.emit.facts import busy_seconds, settle
from otel_tts.engines.table import Engine
from otel_tts.recording.synthesis import Synthesis

RATE = 16000
TONE = (0.5 * np.sin(np.arange(RATE) / 20)).astype(np.float32)


def attributes(world, *calls, engine: Engine | None = None, **given) -> dict:
    synthesis = world.synthesis(**given)
    synthesis.engine = engine
    with synthesis:
        for call in calls:
            call(synthesis)
    return dict(world.drain().spans[-1].attributes)


def test_facts_are_plain_values_that_every_exporter_takes(world) -> None:
    found = attributes(world(), lambda synthesis: synthesis.chunk(TONE, RATE))
    for name, value in found.items():
        for part in value if type(value) is tuple else (value,):
            assert type(part) in (str, int, float, bool), name


def test_samples_without_a_rate_have_no_duration_and_no_ratio(world) -> None:
    found = attributes(world(), lambda synthesis: synthesis.audio(TONE))
    assert not {"tts.audio.duration", "tts.audio.sample_rate", "tts.real_time_factor"} & found.keys()
    assert found["tts.audio.peak"] == pytest.approx(0.5, abs=1e-4)


def test_the_engines_own_expectations_are_checked(world) -> None:
    engine = Engine(name="e", module="m", distribution="d", entries=(), sample_rate=24000, channels=2)
    found = attributes(world(), lambda synthesis: synthesis.audio(TONE, RATE), engine=engine)
    assert set(found["tts.audio.anomaly"]) == {"wrong_sample_rate", "wrong_channels"}
    assert found["tts.outcome"] == "ok"


def test_the_thresholds_are_settings(world) -> None:
    assert "tts.audio.anomaly" not in attributes(world(), lambda synthesis: synthesis.audio(TONE, RATE))
    here = world(silence_dbfs=0.0)
    assert attributes(here, lambda synthesis: synthesis.audio(TONE, RATE))["tts.audio.anomaly"] == ("silent",)


def test_own_samples_replace_an_engines_and_nested_entries_count_once(world) -> None:
    def calls(synthesis: Synthesis) -> None:
        synthesis.audio(TONE, RATE, source="inner entry")
        synthesis.audio(TONE, RATE, source="outer entry")
        synthesis.audio(TONE[: RATE // 2], RATE)
        synthesis.audio(TONE, RATE, source="inner entry")

    assert attributes(world(), calls)["tts.audio.duration"] == 0.5


def test_segments_that_the_engine_states_stand(world) -> None:
    def calls(synthesis: Synthesis) -> None:
        synthesis.set(segments=7)
        with synthesis.stage("model"):
            pass

    assert attributes(world(), calls)["tts.segment.count"] == 7


def test_settling_again_changes_nothing(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        synthesis.chunk(TONE, RATE)
    settle(synthesis, here.emitter.files)
    once = dict(synthesis.attrs)
    settle(synthesis, here.emitter.files)
    assert synthesis.attrs == once


def test_waiting_longer_than_working_is_not_negative(world, clock) -> None:
    with world().synthesis() as synthesis:
        pass
    synthesis.stages.sums["queue"] = 10**9
    assert busy_seconds(synthesis) == 0.0
