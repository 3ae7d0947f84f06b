# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What leaves before a request's end: its start, and a report once it is open too long."""

from __future__ import annotations

from otel_tts import guard


def test_the_start_leaves_before_the_end(world, clock) -> None:
    here = world()
    with here.synthesis(tts__text__length=5):
        clock.tick(0.1)
        here.drain()
        assert here.lines() == ["INFO REQ_START request_id=r engine=e text_len=5"]
        assert (here.records[0].timestamp - here.records[0].observed_timestamp) == 0
        assert here.points("tts.requests.active") == {("e",): 1}
        assert here.spans == []
    here.drain()
    assert [line.split()[1] for line in here.lines()] == ["REQ_START", "REQ_SUCCESS"]
    assert here.points("tts.requests.active") == {("e",): 0}


def test_the_start_is_said_once_even_when_the_end_comes_first(world) -> None:
    here = world()
    with here.synthesis():
        pass
    here.drain()
    here.drain()
    assert [line.split()[1] for line in here.lines()] == ["REQ_START", "REQ_SUCCESS"]


def test_a_request_that_hangs_is_reported_once_with_its_open_stage(world, clock) -> None:
    here = world(stuck_after=60)
    with here.synthesis() as synthesis:
        with synthesis.stage("text_frontend"):
            clock.tick(1)
        with synthesis.stage("acoustic_model"), synthesis.stage("reference_encode") as hanging:
            clock.tick(58)
            here.emitter.report_stuck()
            assert here.lines() == []
            clock.tick(2)
            here.emitter.report_stuck()
            here.emitter.report_stuck()
            assert here.lines() == [
                "INFO REQ_START request_id=r engine=e",
                "WARN REQ_STUCK request_id=r engine=e age=61 stage=reference_encode stage_age=60",
            ]
            assert here.names() == ["tts.text_frontend"]
            assert here.points("tts.stage.open_age") == {
                ("e", "acoustic_model"): 60.0, ("e", "reference_encode"): 60.0,
            }  # fmt: skip
            assert hanging.is_recording()
            clock.tick(5)
            assert here.points("tts.stage.open_age")[("e", "reference_encode")] == 65.0
    here.drain()
    here.emitter.report_stuck()
    assert [line.split()[1] for line in here.lines()] == ["REQ_START", "REQ_STUCK", "REQ_SUCCESS", "STAGE_TIME"]
    assert here.names() == ["tts.text_frontend", "tts.reference_encode", "tts.acoustic_model", "text_to_speech"]
    assert "tts.stage.open_age" not in here.all_points()
    assert here.points("tts.stage.duration")[("e", "text_frontend")] == (1, 1.0)
    assert here.spans[-1].attributes["tts.segment.count"] == 1
    assert not guard.faults


def test_a_request_that_hangs_outside_of_any_stage_is_reported_too(world, clock) -> None:
    here = world(stuck_after=1)
    with here.synthesis():
        clock.tick(2)
        here.emitter.report_stuck()
        assert here.lines()[-1] == "WARN REQ_STUCK request_id=r engine=e age=2"
        assert "tts.stage.open_age" not in here.all_points()
    assert not guard.faults


def test_segments_that_left_early_are_still_counted(world, clock) -> None:
    here = world(stuck_after=1)
    with here.synthesis() as synthesis:
        for _ in range(3):
            with synthesis.stage("model"):
                clock.tick(1)
            here.emitter.report_stuck()
    assert here.drain().spans[-1].attributes["tts.segment.count"] == 3


def test_stages_that_fold_go_on_folding_after_a_report(world, clock) -> None:
    here = world(stuck_after=1, max_stage_spans=1)
    with here.synthesis() as synthesis:
        for number in range(8):
            with synthesis.stage("model"):
                clock.tick(1)
            if number == 4:
                here.emitter.report_stuck()
    here.drain()
    spans = [span for span in here.spans if span.name == "tts.model"]
    assert sum(span.attributes.get("tts.stage.segments", 1) for span in spans) == 8
    assert len(spans) == 3
    assert here.points("tts.stage.duration") == {("e", "model"): (1, 8.0)}
    assert here.spans[-1].attributes["tts.segment.count"] == 8


def test_the_oldest_of_several_open_stages_is_shown(world, clock) -> None:
    here = world()
    first = here.synthesis().start()
    older = first.stage("vocoder").open()
    clock.tick(3)
    second = here.synthesis(request_id="r2").start()
    younger = second.stage("vocoder").open()
    clock.tick(1)
    assert here.points("tts.stage.open_age") == {("e", "vocoder"): 4.0}
    older.close()
    assert here.points("tts.stage.open_age") == {("e", "vocoder"): 1.0}
    younger.close()
    first.finish()
    second.finish()
