# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One line of `otel-tts doctor`: what was looked at, how it is, and what to know or to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

PASS, FAIL, WARN, SKIP, MEASURED = "pass", "fail", "warn", "skip", "measured"


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, how it is, what to know about it, and what to do where that is known."""

    name: str
    status: str
    detail: str
    fix: str = ""


def attempt(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Yield what `look` finds; an error in it is a finding, not a stack trace."""
    try:
        yield from look()
    except Exception as error:
        yield Check(name, FAIL, f"the check itself broke off: {type(error).__name__}: {str(error).splitlines()[:1]}")
