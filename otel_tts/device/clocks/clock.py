# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What every clock of stages can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from otel_tts.record import StageRecord

HOST = "host"


class Clock(Protocol):
    """What times a stage besides the host. No method raises, and only `Sync` may let a request wait.

    A stage's ``where`` says what it runs on: None is the calling thread's current stream, ``"cpu"`` never a device, a
    sequence names its streams. What `begin` returns is kept as ``stage.timing``; None leaves the stage to the host.
    """

    @property
    def mode(self) -> str:
        """host, sync or events: which clock stages get at this moment."""
        ...

    def begin(self, stage: StageRecord) -> Any:
        """Mark the stage's start."""
        ...

    def end(self, stage: StageRecord) -> None:
        """Mark the stage's end."""

    def pause(self, stage: StageRecord) -> None:
        """A generator's stage is suspended at a ``yield``."""

    def resume(self, stage: StageRecord) -> None:
        """A generator's stage goes on after its ``yield``."""

    def fold(self, first: StageRecord, stage: StageRecord, restart: bool) -> None:
        """Put `stage`'s marks to those of `first`; `restart`: the span is to stand where `stage` was."""

    def passed(self, stages: Sequence[StageRecord]) -> bool:
        """On the request's thread at its end: see whether the device has passed all marks, and note when it was seen.

        Costs one query a stage and at most 20 µs of polling.
        """
        ...

    def resolve(self, stages: Sequence[StageRecord], give_up: bool = False) -> bool:
        """Off the request's path: put the device's times on the stages. False: the device has not passed them all.

        `give_up`: stages that cannot be resolved now keep the host's times and say why.
        """
        ...

    def adopt_thread(self) -> None:
        """A thread of ours is going to call `resolve`."""

    def renew(self, parents: Sequence[object]) -> None:
        """In the child of a fork: what the parent had begun is not ours. `parents` are its records."""
