# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The STAGE_TIME line: numbers that add up to the request."""

from __future__ import annotations

import json

import pytest

from otel_tts.emit.stage_times import stage_times


def stage_line(here) -> str:
    (line,) = [line for line in here.drain().lines() if "STAGE_TIME" in line]
    return line.partition("request_id=r ")[2]


def run(synthesis, clock) -> None:
    with synthesis.stage("text_frontend"):
        clock.tick(0.1)
    for _ in range(2):
        with synthesis.stage("acoustic_model"):
            clock.tick(0.1)
            with synthesis.stage("gpt"), synthesis.stage("attention"):
                clock.tick(0.2)
            with synthesis.stage("vocoder"):
                clock.tick(0.1)
    clock.tick(0.5)
    with synthesis.stage("vocoder"):
        clock.tick(0.3)


def test_stages_and_the_rest_add_up_and_parts_are_in_their_stage(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        run(synthesis, clock)
    times = stage_times(synthesis)
    assert {name: round(spent, 9) for name, spent in times.items()} == {
        "text_frontend": 0.1, "acoustic_model": 0.8, "acoustic_model.gpt": 0.4, "acoustic_model.gpt.attention": 0.4,
        "acoustic_model.vocoder": 0.2, "vocoder": 0.3, "total": 1.7, "other": 0.5,
    }  # fmt: skip
    outer = [spent for name, spent in times.items() if "." not in name and name != "total"]
    assert sum(outer) == pytest.approx(times["total"])
    shown = [name for name in times if name.startswith("acoustic_model")]
    assert [*times][[*times].index("acoustic_model") :][: len(shown)] == shown  # its parts follow the stage
    assert " acoustic_model=0.8 acoustic_model.gpt.attention=0.4 acoustic_model.gpt=0.4 " in stage_line(here)
    assert here.points("tts.stage.duration")[("e", "vocoder")] == (1, 0.5)  # the metric counts both


def test_stages_side_by_side_are_said_without_a_rest(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        one, other = synthesis.stage("acoustic_model").open(), synthesis.stage("vocoder").open()
        clock.tick(0.1)
        one.close()
        clock.tick(0.1)
        other.close()
    assert stage_line(here) == "acoustic_model=0.1 vocoder=0.2 total=0.2"


def test_a_stage_inside_one_of_its_own_kind_is_no_part(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis, synthesis.stage("text_frontend"), synthesis.stage("text_frontend"):
        clock.tick(0.1)
    assert stage_line(here) == "text_frontend=0.1 total=0.1 other=0"


def test_a_part_whose_stage_never_ended_is_shown(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        outer = synthesis.stage("acoustic_model").__enter__()
        with synthesis.stage("gpt"):
            clock.tick(0.1)
        synthesis.finish(GeneratorExit())
        outer.__exit__(None, None, None)
    assert stage_line(here) == "acoustic_model.gpt=0.1 total=0.1 other=0.1"


def test_parts_of_each_other_have_an_end(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        for outer, inner in (("a", "b"), ("b", "a")):
            with synthesis.stage(outer), synthesis.stage(inner):
                clock.tick(0.1)
    assert stage_line(here) == "b=0.1 b.a.b=0.1 a=0.1 a.b.a=0.1 total=0.2 other=0"


def test_an_own_stage_may_have_one_of_the_lines_words_for_a_name(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        for name in ("total", "request_id"):
            with synthesis.stage(name):
                clock.tick(0.1)
    assert stage_line(here) == "stage.total=0.1 stage.request_id=0.1 total=0.2 other=0"


def test_in_json_the_stages_stand_by_themselves(world, clock, capsys) -> None:
    here = world(log_format="json")
    with here.synthesis() as synthesis:
        for name in ("model", "level"):  # the second would hide the line's own
            with synthesis.stage(name):
                clock.tick(0.25)
        clock.tick(0.5)
    here.drain()
    (said,) = [
        fields for line in capsys.readouterr().err.splitlines() if (fields := json.loads(line))["event"] == "STAGE_TIME"
    ]
    assert said["level"] == "INFO" and said["request_id"] == "r"
    assert (said["stages"], said["total"], said["other"]) == ({"model": 0.25, "level": 0.25}, 1.0, 0.5)
