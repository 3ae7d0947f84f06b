# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Nine causes, staged one by one in simulated hours, and hours in which nothing is wrong.

The full size is that of `make soak`; OTEL_TTS_TRIALS sets another.
"""

from __future__ import annotations

import os

import pytest
from simulated import CAUSES, hour

from otel_tts.causes import shared
from otel_tts.causes.period import Period

FULL = 300
TRIALS = int(os.environ.get("OTEL_TTS_TRIALS", "30"))


def seeds(cause: str | None) -> range:
    """Others for each cause, the same each time."""
    first = 1_000_000 * (1 + (list(CAUSES).index(cause) if cause is not None else len(CAUSES)))
    return range(first, first + TRIALS)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_staged_cause_is_named_first(cause: str, record_property: pytest.RecordProperty) -> None:
    staged = CAUSES[cause]
    named = 0
    for seed in seeds(cause):
        found = shared.slow(Period(hour(seed, cause)))
        named += bool(found.named) and (found.named[0].name, found.named[0].value) == (staged.name, staged.value)
    print(f"{cause}: named first in {named} of {TRIALS} trials, seeds {seeds(cause)}")
    record_property("named_first", named / TRIALS)
    assert named >= (0.5 if cause == "cold start" else 0.95) * TRIALS


def test_nothing_is_named_where_nothing_is_wrong() -> None:
    named = [seed for seed in seeds(None) if shared.slow(Period(hour(seed, None))).named]
    print(f"none: something was named in {len(named)} of {TRIALS} trials, seeds {seeds(None)}: {named}")
    assert len(named) <= 0.01 * TRIALS


def test_too_few_to_tell_and_none_at_all() -> None:
    few = shared.slow(Period(hour(1, "fallback", 380)))
    assert few.too_few and few.chosen == 19 and not few.named
    assert shared.slow(Period(hour(1, "fallback", 400))).named
    nothing = shared.slow(Period())
    assert (nothing.chosen, nothing.total, nothing.named) == (0, 0, ())
    assert shared.failed(Period()).too_few
