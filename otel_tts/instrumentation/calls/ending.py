# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why a generation ended, as the table's function reads it when the call that made it is over."""

from __future__ import annotations

from typing import Any

from otel_tts.engines.table import Call, Finisher
from otel_tts.recording import generation
from otel_tts.recording.generation import Generation
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.synthesis import Synthesis


class Ending:
    """Of one call. `attempt` names what the call is one more attempt at: only the last of them counts."""

    __slots__ = ("_attempt", "_call", "_finish", "_synthesis")

    def __init__(self, synthesis: Synthesis, finish: Finisher, call: Call, attempt: object = None) -> None:
        self._synthesis, self._finish, self._call, self._attempt = synthesis, finish, call, attempt

    def note(self, stage: StageSpan | None, result: Any, items: int) -> None:
        """The call returned `result`, or its generator ended after `items`, of which `result` was the last."""
        finish = self._finish(self._call, result, items)
        if finish is not None and (ended := generation.ended(finish)) is not None:
            self._keep(stage, ended)

    def broken(self, stage: StageSpan | None, result: Any, items: int) -> None:
        """An exception left it; `items` had come by then, `result` is the last."""
        finish = self._finish(self._call, result, items) if items else None
        self._keep(stage, generation.broken(finish))

    def _keep(self, stage: StageSpan | None, ended: Generation) -> None:
        if stage is not None:
            stage.attrs |= generation.describe((ended,))
        synthesis = self._synthesis
        if synthesis.t1 is not None:
            return
        if synthesis.generations is None:
            synthesis.generations = {}
        key = object() if self._attempt is None else self._attempt  # not the call, which holds tensors
        synthesis.generations[key] = ended
