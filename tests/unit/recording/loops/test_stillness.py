# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of a loop that stood still for ten units, from what else stood still."""

from __future__ import annotations

import pytest

from otel_tts.recording.loops.stillness import Gap, cause_of


@pytest.mark.parametrize(
    ("cpu", "collections", "gaps", "cause"),
    [
        (9, [], [], "code"),
        (0, [], [], "code"),  # it waits for something, but the watcher woke in time
        (9, [(11, 19)], [Gap(11, 19, 8)], "gc"),
        (9, [(11, 13)], [], "code"),
        (0, [], [Gap(11, 20, 0)], "not_scheduled"),
        (0, [], [Gap(11, 20, 9)], "interpreter"),
        (9, [], [Gap(11, 20, 9)], "code"),  # its own native code holds the interpreter
        (0, [], [Gap(11, 13, 0)], "code"),
        (0, [], [Gap(0, 9, 0), Gap(30, 40, 0)], "code"),  # at another time
    ],
)
def test_cause(cpu: int, collections: list[tuple[int, int]], gaps: list[Gap], cause: str) -> None:
    assert cause_of(10, 20, cpu, collections, gaps) == cause
