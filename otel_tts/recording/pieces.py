# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Work on a request around which no engine's table has opened a synthesis: a model's runs, an encoder's calls.

The request keeps their times; where it is answered with audio after all, they are the stages of a synthesis by an
unknown engine. It is made when the last byte leaves: before that nothing says that the request speaks.
"""

from __future__ import annotations

from typing import Any, Final

from otel_tts import names
from otel_tts.otel_private.context import enter_context, leave_context
from otel_tts.record import now
from otel_tts.recording import request
from otel_tts.recording.recorder import current as current_recorder
from otel_tts.recording.request import Request
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.synthesis import Synthesis

_MOST: Final = 1000
"""Pieces that a request keeps: a model may be run once for each step."""


def begin() -> int | None:
    """Return when a piece of work begins; None where no request would make a synthesis of it."""
    web = request.current.get()
    return now() if web is not None and web.answers and not web.syntheses else None


def note(stage: str, began: int) -> None:
    """A piece of work of the kind `stage` that `began` then is done."""
    web = request.current.get()
    if web is None or web.syntheses:
        return
    pieces: list[Any] = web.pieces or []
    if len(pieces) < _MOST:
        pieces.append((stage, began, now()))
    web.pieces = pieces


def become_synthesis(web: Request) -> Synthesis | None:
    """Make the pieces of `web`, which is answered with audio, a synthesis; None where a table has made its own."""
    pieces: list[tuple[str, int, int]] = web.pieces or []
    recorder, web.pieces = current_recorder(), None
    if not pieces or recorder is None or web.syntheses:
        return None
    synthesis = Synthesis(recorder, {names.ENGINE: names.UNKNOWN_ENGINE}).start()
    synthesis.t0 = pieces[0][1]
    token = enter_context(synthesis.inside)
    try:
        for piece in pieces:
            _add(synthesis, *piece)
    finally:
        leave_context(synthesis.inside, token)
    synthesis.finish()
    return synthesis


def _add(synthesis: Synthesis, name: str, began: int, ended: int) -> None:
    stage = StageSpan(synthesis, name, fold=name == names.Stage.POSTPROCESS, where="cpu").open()
    stage.t0, stage.since, stage.t1 = began, began, ended
    stage.memory = None  # of that time nothing was noted
    synthesis.stages.close(stage)
