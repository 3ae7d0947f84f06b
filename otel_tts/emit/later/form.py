# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The form of what is known later than a record's end."""

from __future__ import annotations

from typing import Protocol

from otel_tts.record import LateSpan


class Later(Protocol):
    """Finds something out about finished records, without the request waiting for it. Never raises."""

    def start(self, record: LateSpan) -> None:
        """On the request's path at its end: begin, and note what is known already."""
        ...

    def is_ready(self, record: LateSpan, give_up: bool = False) -> bool:
        """Off the path: put on the record what is known; False while more is to come. `give_up`: no more waits."""
        ...
