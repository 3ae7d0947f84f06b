# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A watcher's canary on a real page: it speaks through the queue, and is in no metric of requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from otel_tts import names
from otel_tts.watching.config import Canary, Config
from otel_tts.watching.means import RealMeans


def test_a_canary_speaks_through_the_queue_and_counts_as_nothing_else(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "control"
    page = start("speech.py", OTEL_TTS_CONTROL=str(folder))
    means = RealMeans(Config(name="page", control=str(folder)))
    spoken = means.speak(Canary(page.url, gradio="speak", json=["One two three."], within_s=120))
    assert (spoken.failure, spoken.refused) == ("", False)
    failed = means.speak(Canary(page.url, gradio="speak_and_fail", json=["One two three."], within_s=120))
    assert failed.failure == "the page's function failed"
    inside = means.inside()
    assert inside is not None and inside.alive == 1
    sink = page.sink
    sink.wait_for(lambda: sum(point.value for point in sink.latest(names.WATCH_PROBES.name)) == 2, 60)
    page.server.stop()
    roots = sink.spans(names.OPERATION) or [s for s in sink.spans() if s.name.startswith(names.OPERATION)]
    assert len(roots) == 2 and all(span.attributes[names.CANARY] is True for span in roots)
    requests = (names.REQUESTS, names.REQUEST_DURATION, names.STAGE_DURATION, names.QUEUE_DURATION, names.RTF)
    assert [metric.name for metric in requests if sink.points(metric.name)] == []
    assert not list(folder.glob("*.sock"))
