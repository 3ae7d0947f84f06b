# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What every store that is asked over HTTP has: a client, a name, and how long it keeps what it has."""

from __future__ import annotations

from otel_tts.readers.http import Client


class AskedStore:
    """A store behind `client`. `keeps_seconds` is given where it is known; else the store is asked, once."""

    def __init__(self, client: Client, keeps_seconds: float | None = None) -> None:
        self._client, self._kept, self._asked = client, keeps_seconds, False

    def __str__(self) -> str:
        return self._client.name

    def keeps_seconds(self) -> float | None:
        """How long the store keeps what it has, None where that is not known."""
        if self._kept is None and not self._asked:
            self._asked = True
            self._kept = self.ask_retention()
        return self._kept

    def ask_retention(self) -> float | None:
        """What the store itself says of how many seconds it keeps what it has; None where it does not."""
        return None
