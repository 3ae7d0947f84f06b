# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a page is told of why: the same as the terminal, in both languages, with the same numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_tts import names
from otel_tts.causes import explain
from otel_tts.causes.period import Period
from otel_tts.readers.model import Synthesis
from otel_tts.views import why
from tests.unit.causes.simulated import hour
from tests.unit.support.languages import is_chinese, said_in_both_languages, same_numbers


def told(made: list[Synthesis], found: explain.Why, period: Period) -> dict[str, Any]:
    for cause in found.causes:
        said_in_both_languages(cause)
    page = why.for_page(found, period)
    for en, zh in page["compared"]:
        assert is_chinese(zh) and not is_chinese(en) and same_numbers(en, zh), (en, zh)
    assert [en for en, _ in page["compared"]] == why.compared(found, period)
    assert [cause["title"][0] for cause in page["causes"]] == [cause.title for cause in found.causes]
    json.dumps(page, allow_nan=False)
    return page


@pytest.mark.parametrize("staged", ["fallback", "cache miss", "queue", "voice", None])
def test_of_a_request_and_of_all(staged: str | None) -> None:
    made = list(hour(21, staged))
    period = Period(made)
    slowest = max(made, key=lambda one: one.waited + one.seconds)
    page = told(made, explain.of_request(slowest, (slowest.root,), period), period)
    assert page["parts"] and all(len(part) == 4 for part in page["parts"])
    whole = told(made, explain.of_period(period), period)
    assert bool(whole["causes"]) == (staged is not None) and whole["parts"] == []
    assert len(whole["compared"]) >= 2


def test_where_there_is_nothing_to_compare_with() -> None:
    (one,) = list(hour(22, None))[:1]
    canary = Synthesis(**{**vars(one), "attributes": {**one.attributes, names.CANARY: True}})
    page = told([one], explain.of_request(one, (one.root,), Period([canary])), Period([canary]))
    assert "(and 1 canary, not counted)" in page["compared"][0][0]
