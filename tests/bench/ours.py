# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The same request with otel-tts's public way, set up as in production."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import otel_tts
from tests.bench import by_api, inside
from tests.bench.content import AUDIO, ENGINE, LANGUAGE, MEMORY, MODEL, PEAK, STAGES, TEXT, VOICE
from tests.bench.plain_names import names


def make(gated: bool = True, lines: bool = False, events: bool = True) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request and a flush. `lines`: also the lines on stderr, which the by-hand way does not write."""
    if not gated:
        inside.open_the_gate()
    otel_tts.configure(service_name="bench", voices=(VOICE,), log_format="logfmt" if lines else "none")
    return request_maker(events), by_api.flush


def request_maker(events: bool = True) -> Callable[[], None]:
    """Return a request that records what `content` says, without its memory events where they are not asked for."""
    numbers = count()

    def request() -> None:
        with otel_tts.synthesis(
            MODEL, engine=ENGINE, text=TEXT, voice=VOICE, language=LANGUAGE, request_id=f"req-{next(numbers)}"
        ) as synthesis:
            for name in STAGES:
                with synthesis.stage(name) as stage:
                    if events:
                        stage.add_event(names.MEMORY_EVENT, MEMORY)
                    stage.set_attribute(names.MEMORY_PEAK, PEAK)
            synthesis.set_attributes(AUDIO)

    return request
