# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The one call of openai that a RealtimeTTS engine makes, without the service behind it."""

from __future__ import annotations

from types import SimpleNamespace


class OpenAI:
    def __init__(self, api_key=None):
        self.audio = SimpleNamespace(speech=SimpleNamespace(create=self._create))

    def _create(self, **params):
        if "gone" in params["input"]:
            raise ConnectionError(params["input"])
        return SimpleNamespace(iter_bytes=lambda: iter([b"ab", b"cd"]))
