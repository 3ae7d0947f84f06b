# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why one request was slow: the stage, with both numbers, and what it shares; and that nothing stands out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulated import hour

from otel_tts import names
from otel_tts.causes import explain
from otel_tts.causes.period import Period
from otel_tts.names import Stage
from otel_tts.readers.model import Synthesis


def slower(one: Synthesis, stage: str, seconds: float) -> Synthesis:
    stages = {**one.stages, stage: one.stages.get(stage, 0.0) + seconds}
    return replace(one, end=one.end + round(seconds * 1e9), stages=stages)


def test_the_stage_at_fault_is_named_with_both_numbers() -> None:
    made = list(hour(11, None))
    slow = slower(made[250], Stage.VOCODER, 20.0)
    why = explain.of_request(slow, (slow.root,), Period([*made[:250], slow, *made[251:]]))
    (cause,) = why.causes
    assert cause.key == "stage" and cause.title.startswith("vocoder")
    assert why.excess is not None and why.excess.slow and why.excess.parts[0].stage == Stage.VOCODER
    part = why.excess.parts[0]
    assert part.seconds == pytest.approx(slow.stages[Stage.VOCODER])
    assert part.expected == pytest.approx(part.seconds - 20.0, rel=0.5)
    assert part.share == pytest.approx(1.0, abs=0.2)
    assert f"{part.seconds:.3g} s" in cause.evidence and f"{part.expected:.3g} s" in cause.evidence


def test_time_in_no_stage_is_a_part_too() -> None:
    made = list(hour(12, None))
    slow = replace(made[0], end=made[0].end + 30 * 10**9)
    why = explain.of_request(slow, (slow.root,), Period([slow, *made[1:]]))
    assert [cause.title for cause in why.causes] == ["what is in no stage took longer than this text needs"]


def test_a_long_text_is_not_slow_for_being_long() -> None:
    made = list(hour(13, None))
    longest = max(made, key=lambda one: one.attributes[names.TEXT_LENGTH])
    why = explain.of_request(longest, (longest.root,), Period(made))
    assert why.excess is not None and not why.excess.slow and why.causes == ()


def test_own_facts_come_first_then_the_stage_then_what_others_share() -> None:
    made = list(hour(14, "fallback"))
    fallen = max((one for one in made if one.attributes.get(names.DEVICE_FALLBACK)), key=lambda one: one.seconds)
    why = explain.of_request(fallen, (fallen.root,), Period(made))
    assert [cause.key for cause in why.causes] == ["fallback", "stage", "shared"]
    first, _, last = why.causes
    assert first.touches == last.touches and first.of == 500
    assert names.DEVICE_FALLBACK in last.title and last.remedy == first.remedy
    quick = next(one for one in made if not one.attributes.get(names.DEVICE_FALLBACK))
    assert "shared" not in [cause.key for cause in explain.of_request(quick, (quick.root,), Period(made)).causes]


def test_nothing_to_compare_with() -> None:
    (one,) = hour(15, None, 1)
    why = explain.of_request(one, (one.root,), Period())
    assert why.excess is None and why.causes == () and why.slow.too_few
    unknown = replace(one, attributes={names.OPERATION_NAME: names.OPERATION})
    assert explain.of_request(unknown, (one.root,), Period(hour(15, None))).excess is None


def test_a_voice_of_which_few_are_known_is_compared_with_all_of_its_engine() -> None:
    made = [one for one in hour(16, None) if one.attributes[names.VOICE_SOURCE] == "preset"]
    odd = replace(made[0], attributes={**made[0].attributes, names.VOICE_SOURCE: "description"})
    excess = explain.of_request(odd, (odd.root,), Period([odd, *made[1:]])).excess
    assert excess is not None and excess.whose == "indextts" and excess.compared_with == len(made)


def test_of_a_period_the_rare_is_told_by_their_own_account() -> None:
    made = list(hour(17, "cold start"))
    why = explain.of_period(Period(made))
    cold = sum(names.COLD_START_KIND in one.attributes for one in made)
    assert why.accounts["cold_start"] == cold
    assert next(iter(why.stages)) == Stage.ACOUSTIC_MODEL and why.stages[Stage.ACOUSTIC_MODEL] > 0


def test_failed_requests_are_not_what_others_are_measured_by() -> None:
    made = list(hour(18, None))
    broken = [replace(one, end=one.start + 1000, stages={}, attributes={**one.attributes, names.OUTCOME: "error"})
              for one in made[:240]]  # fmt: skip
    excess = explain.of_request(made[400], (), Period([*broken, *made[240:]])).excess
    usual = explain.of_request(made[400], (), Period(made)).excess
    assert excess is not None and usual is not None
    assert excess.expected == pytest.approx(usual.expected, rel=0.15)
