# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What slow and failed requests share: failures, what cannot be told apart, odd and very many properties."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from simulated import hour

from otel_tts import names
from otel_tts.causes import shared
from otel_tts.causes.period import MOST_COLUMNS, MOST_VALUES, Period
from otel_tts.readers.model import Synthesis


def with_facts(one: Synthesis, **facts: object) -> Synthesis:
    return replace(one, attributes={**one.attributes, **facts})


def test_what_failed_ones_share() -> None:
    made = []
    for number, one in enumerate(hour(3, None)):
        failed = one.attributes[names.TEXT_LANGUAGE] == "ja" and number % 3
        facts = {names.OUTCOME: "error", names.ERROR_TYPE: "ValueError"} if failed else {}
        made.append(with_facts(one, **facts))
    period = Period(made)
    found = shared.failed(period)
    assert (found.named[0].name, found.named[0].value) == (names.TEXT_LANGUAGE, "ja")
    assert found.named[0].seconds is None and found.named[0].share == 1.0
    assert period.count_errors("ValueError") == found.chosen


def test_lacking_a_property_is_a_value() -> None:
    made = [
        one if number % 10 else replace(one, end=one.end + 8 * 10**9, stages={}, attributes={
            key: value for key, value in one.attributes.items() if key != names.TEXT_LANGUAGE
        })
        for number, one in enumerate(hour(4, None))
    ]  # fmt: skip
    found = shared.slow(Period(made))
    assert (found.named[0].name, found.named[0].value) == (names.TEXT_LANGUAGE, None)


def test_properties_of_just_the_same_requests_are_named_together() -> None:
    made = [replace(one, resource={**one.resource, "k8s.node.name": "n-" + one.resource["host.name"]})
            for one in hour(5, "replica")]  # fmt: skip
    (first, *_) = shared.slow(Period(made)).named
    assert {(first.name, first.value), *first.also} == {("host.name", "tts-c"), ("k8s.node.name", "n-tts-c")}


def test_ids_floats_and_very_many_properties_are_left_out() -> None:
    made = (
        with_facts(one, **{
            "own.id": f"x{number}", "own.measure": number / 7, "own.truth": number % 2 == 0, "own.one": 1,
            "own.list": ["a", 1], "own.long": "x" * 10_000, **({f"own.{number}": 1} if number > 100 else {}),
        })
        for number, one in enumerate(hour(6, "gpu", 1000))
    )  # fmt: skip
    period = Period(made)
    assert len(period.columns) == MOST_COLUMNS
    assert "own.measure" not in period.columns and "own.long" not in period.columns
    assert period.count("own.list", "a, 1") == 1000
    assert period.count("own.truth", True) == 500 and period.count("own.one", 1) == 1000
    assert not period.columns["own.id"].is_id  # a thousand may be names; none is common enough to be named
    assert shared.slow(period).named[0].name == "device"


def test_a_property_with_too_many_values_is_an_id() -> None:
    made = hour(7, "fallback", MOST_VALUES + 100)
    period = Period(with_facts(one, **{"own.id": f"x{number}"}) for number, one in enumerate(made))
    assert period.columns["own.id"].is_id and not len(period.columns["own.id"].codes)
    assert shared.slow(period).named[0].name == names.DEVICE_FALLBACK


@pytest.mark.thorough
def test_with_forty_properties_time_grows_no_faster_than_the_number_of_requests() -> None:
    """Ten and fifty thousand here; a million took 6 s, and 224 MB, after a minute of putting them in."""
    usual = list(hour(8, "language", 2000))
    made = [with_facts(one, **{f"own.{number}": f"v{(at * number) % 7}" for number in range(28)})
            for at, one in enumerate(usual)]  # fmt: skip

    def seconds(times: int) -> float:
        period = Period()
        for _ in range(times):
            for one in made:
                period.add(one)
        took: list[float] = []
        for _ in range(3):  # the least of them: others on the machine only make it longer
            began = time.process_time()
            found = shared.slow(period)
            took.append(time.process_time() - began)
            assert found.named[0].name == names.TEXT_LANGUAGE and found.total == times * 2000
        return min(took)

    few, many = seconds(5), seconds(25)
    assert many < 5 * 5 * few + 1
