# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""otel-tts fails at every line that a request of a torch engine comes by: its audio and exceptions stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from test_compiled import build, speak

from otel_tts.engines import transformers
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo
from tests.unit.support.faults import check, outcome


@pytest.fixture(autouse=True)
def hooked() -> Iterator[None]:
    watch(transformers.ENGINE)
    yield
    undo(HOOKS)


def test_a_fault_at_any_line(world: Any) -> None:
    model, ids = build()
    wrong = torch.full((1, 4), 99)  # no such letter
    seen = world()
    ours = ("entries", "reading", "stage", "transformers")  # the rest does not know of torch
    check(lambda: [outcome(lambda: speak(model, ids)), outcome(lambda: speak(model, wrong))], only=ours)
    seen.drain()
