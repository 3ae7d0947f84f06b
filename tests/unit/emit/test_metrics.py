# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Labels are few and known; what is counted is true."""

from __future__ import annotations

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_tts import names
from otel_tts.emit.metrics import Instruments
from otel_tts.otel_private.points import Points
from otel_tts.privacy import policy


def one(world, **attributes) -> None:
    with world.synthesis(**attributes) as synthesis, synthesis.stage("model"):
        pass
    world.drain()


def test_labels_beyond_the_bound_are_other(world) -> None:
    here = world(max_label_values=2)
    for number in range(5):
        one(here, gen_ai__request__model=f"m{number}")
    one(here, gen_ai__request__model="m0")
    assert here.points("tts.requests") == {("m0", "e", "ok"): 2, ("m1", "e", "ok"): 1, ("other", "e", "ok"): 3}


def test_stage_labels_are_bounded_too(world) -> None:
    here = world(max_label_values=3)
    with here.synthesis() as synthesis:
        for number in range(10):
            with synthesis.stage(f"s{number}"):
                pass
    here.drain()
    assert {stage for _, stage in here.points("tts.stage.duration")} == {"s0", "s1", "s2", "other"}


def test_engines_beyond_the_bound_are_counted_together(world) -> None:
    here = world(max_label_values=1)
    one(here, tts__engine__name="e0")
    open_ones = [here.synthesis(tts__engine__name=f"e{number}", request_id=f"r{number}").start() for number in range(4)]
    for synthesis in open_ones:
        synthesis.stage("model").open()
    assert here.points("tts.requests.active") == {("e0",): 1, ("other",): 3}
    assert here.points("tts.stage.open_age").keys() == {("e0", "model"), ("other", "model")}
    for synthesis in open_ones:
        synthesis.finish()
    here.drain()
    assert here.points("tts.requests.active") == {("e0",): 0, ("other",): 0}


def test_failures_are_counted_by_the_class_of_their_error(world) -> None:
    here = world(max_label_values=2)
    for error in (KeyError, ValueError, OSError, TypeError, KeyError):
        with pytest.raises(error), here.synthesis():
            raise error("the words that were said")
    one(here)
    here.drain()
    counted = {tuple(sorted(point.attributes.items())): point.value for point in here.raw_points("tts.requests")}
    assert {dict(labels).get("error.type"): value for labels, value in counted.items()} == {
        None: 1, "KeyError": 2, "ValueError": 1, "other": 2,
    }  # fmt: skip
    assert "words" not in str(counted)


def test_labels_are_those_of_the_table_and_never_the_request(world) -> None:
    here = world()
    one(here, request_id="very-particular-id", gen_ai__request__model="m", tts__voice="Jane Doe", tts__text__length=3)
    listed = {metric.name: set(metric.labels) for metric in names.METRICS}
    for name, points in here.all_points().items():
        for labels in points:
            assert "very-particular-id" not in labels
            assert "Jane" not in labels
        for point in here.raw_points(name):
            assert set(point.attributes) <= listed[name]


@pytest.mark.parametrize(
    "settings, voice, span, label",
    [
        ({"voices": ("anna",)}, "anna", "anna", "anna"),
        ({}, "anna", None, "other"),
        ({"hash_key": "k"}, "anna", None, None),
    ],
    ids=["listed", "random key", "own key"],
)
def test_voices(world, settings, voice, span, label) -> None:
    here = world(**settings)
    one(here, tts__voice=voice)
    shown = here.span("text_to_speech").attributes["tts.voice"]
    assert shown == (span or shown)
    if span is None:
        assert shown.startswith("v-")
        assert voice not in shown
    assert here.points("tts.requests").keys() == {("e", "ok", label or shown)}
    assert f"voice={shown}" in here.lines()[0]


def test_a_reference_voice_is_the_hash_of_its_file(world, tmp_path) -> None:
    here = world(hash_key="k")
    hashes = []
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"the same voice")
        one(here, tts__voice=str(tmp_path / name), tts__voice__source="reference", request_id=name.replace(".", "-"))
        hashes.append(here.spans[-1].attributes["tts.voice"])
    assert hashes[0] == hashes[1] == here.emitter.voices.hash_file(tmp_path / "a.wav")
    assert str(tmp_path) not in repr(here.shown_spans()) + repr(here.lines())


def test_our_own_counters(world) -> None:
    from otel_tts import guard

    here = world()
    here.recorder.dropped["queue_full"] += 3
    guard.faults["somewhere"] += 2
    before = policy.redacted["attribute"]
    policy.redacted["attribute"] += 4
    try:
        assert here.points("otel_tts.dropped") == {("queue_full",): 3}
        assert here.points("otel_tts.faults") == {("somewhere",): 2}
        assert here.points("otel_tts.redacted")[("attribute",)] == before + 4
    finally:
        policy.redacted["attribute"] = before


def test_loading_a_model(world, clock) -> None:
    here = world()
    for model, seconds in (("m", 1.5), (None, 0.5)):
        attrs = {names.ENGINE: "e", names.MODEL: model} if model else {names.ENGINE: "e"}
        span = here.recorder.span(names.SPAN_MODEL_LOAD, Context(), clock.read(), 0, attrs)
        clock.tick(seconds)
        span.t1 = clock.read()
        here.recorder.finish(span)
    here.drain()
    assert here.points("tts.model.load.duration") == {("m", "e"): (1, 1.5), ("e",): (1, 0.5)}


def test_histograms_have_the_edges_of_the_table(world) -> None:
    here = world()
    one(here, tts__text__length=3)
    edges = {metric.name: metric.edges for metric in names.METRICS}
    for name in ("tts.request.duration", "tts.stage.duration", "tts.text.length"):
        assert here.raw_points(name)[0].explicit_bounds == edges[name]


def test_unknown_labels_are_absent(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        del synthesis.attrs["tts.engine.name"]
    here.drain()
    assert here.points("tts.requests") == {("ok",): 1}


def test_where_nobody_reads_no_point_is_made_until_somebody_does(world, monkeypatch) -> None:
    here, meters, reader = world(), MeterProvider(shutdown_on_exit=False), InMemoryMetricReader()
    recorded: list[float] = []
    record_at = Points.record_at
    monkeypatch.setattr(Points, "record_at", lambda self, *given: (recorded.append(given[0]), record_at(self, *given)))
    here.emitter.instruments = Instruments(meters, here.recorder, here.emitter.voices)
    for _ in range(2):
        with here.synthesis() as synthesis, synthesis.stage("model") as stage:
            stage.set_attribute(names.MEMORY_PEAK, 5)
        here.drain()
    assert here.spans and not recorded
    meters.add_metric_reader(reader)
    with here.synthesis() as synthesis, synthesis.stage("model") as stage:
        stage.set_attribute(names.MEMORY_PEAK, 5)
    here.drain()
    (part,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    counts = {metric.name: metric.data.data_points for metric in part.metrics}
    assert counts["tts.requests"][0].value == 1 and counts["tts.gpu.memory.peak"][0].count == 1
