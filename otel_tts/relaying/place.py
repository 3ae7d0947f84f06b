# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a place is to which messages go, and how it can fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Unreached(Exception):
    """Nobody took the message; it is tried again. The text is short, and has no address and no key in it."""


class Refused(Exception):
    """The place answered that it does not take it. `for_good`: because of the message itself, so not again."""

    def __init__(self, text: str, for_good: bool = False) -> None:
        super().__init__(text)
        self.for_good = for_good


class Sender(Protocol):
    """Sends one piece of at most `most` bytes of UTF-8; `kind` is its name in a word."""

    @property
    def kind(self) -> str: ...

    @property
    def most(self) -> int: ...

    def send(self, title: str, text: str) -> None:
        """Send one piece of Markdown. Raises Refused, Unreached."""
        ...


@dataclass(frozen=True)
class Place:
    """A sender under the name that stands in lines, files and metrics."""

    name: str
    sender: Sender
