# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Terminals, pipes and cron jobs that are not UTF-8 (LANG=C, PYTHONIOENCODING=ascii) are written to all the same."""

from __future__ import annotations

import codecs
import io
import sys
from typing import Final

_NAME: Final = "otel_tts"
_SPELLED: Final = str.maketrans(
    {"…": "...", "–": "-", "±": "+-", "µ": "u", "·": ".", "─": "-", "│": "|", "├": "|", "└": "`", "█": "#", "→": "->"}
)


def write_anything() -> None:
    """Let stdout and stderr spell what they cannot encode in their own characters, instead of raising."""
    codecs.register_error(_NAME, _spell)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def stdout_is_utf8() -> bool:
    """Whether stdout can encode every character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    spelled = error.object[error.start : error.end].translate(_SPELLED)
    return spelled.encode("ascii", "replace").decode(), error.end
