# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""examples/gradio_page.py: what is clicked is spoken and traced, what is refused makes no synthesis."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import Page

from otel_tts import names

EXAMPLE = Path(__file__).parents[2] / "examples" / "gradio_page.py"
TEXT = "Quincebread at dawnfall. Purpleotter whispers."


@pytest.fixture(scope="module")
def example(start: Callable[..., Page]) -> Page:
    return start(command=(sys.executable, str(EXAMPLE), "{port}"))


@pytest.mark.parametrize("name", ["speak", "stream"])
def test_a_click_is_a_trace(example: Page, name: str) -> None:
    handed, kind, _ = example.do(name, TEXT)
    _, job, queue, synthesis, *_ = example.trace(handed.trace_id)
    assert kind == "complete" and [job.name, queue.name] == [f"tts.job {name}", "tts.queue"]
    assert synthesis.attributes[names.OUTCOME] == "ok" and synthesis.attributes.get(names.STREAM, False) is (
        name == "stream"
    )


def test_refused_and_counted(example: Page) -> None:
    before = len(example.syntheses())
    assert example.do("count", TEXT)[1:] == ("complete", [f"{len(TEXT)} characters"])
    assert example.do("speak", "  ")[1] == "error"
    handed, _, _ = example.do("speak", TEXT)
    example.trace(handed.trace_id)
    assert len(example.syntheses()) == before + 1
