# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where in the code a thread is: module, function, line. Never a value: no argument, no local is looked at."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Final, NamedTuple

_COROUTINE: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
_OURS: Final = ("otel_tts.", "wrapt.")
_MAX_FILE: Final = 60
_MAX_FUNCTION: Final = 56
"""A place has at most 128 characters, as all words of a line."""

_not_plain: Final = re.compile(r"[^A-Za-z0-9_.<>/-]")


class Place(NamedTuple):
    """A thread's place: the innermost `code`, and the innermost `coroutine` that has called it, if one has.

    Each is ``package/module.py:function:line``.
    """

    code: str
    coroutine: str | None


def place_of_thread(thread: int) -> Place | None:
    """Return where the thread with that identity is now; None where there is none such, or none but our own code."""
    frame = sys._current_frames().get(thread)
    return place_of(frame) if frame is not None else None


def place_of(frame: FrameType) -> Place | None:
    """Return the place of `frame` among those who have called it; what is ours is left out."""
    around = [each for each in _outwards(frame) if not _is_ours(each)]
    if not around:
        return None
    coroutine = next((each for each in around if each.f_code.co_flags & _COROUTINE), None)
    return Place(_describe(around[0]), _describe(coroutine) if coroutine is not None else None)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith(_OURS)


def _describe(frame: FrameType) -> str:
    code = frame.f_code
    function: str = getattr(code, "co_qualname", code.co_name)  # since Python 3.11
    return f"{_file_of(frame)[-_MAX_FILE:]}:{_plain(function)[-_MAX_FUNCTION:]}:{frame.f_lineno}"


def _file_of(frame: FrameType) -> str:
    """Return the file as its module's name has it: a path would name users and deployments."""
    file = frame.f_code.co_filename.rpartition("/")[2]
    module = frame.f_globals.get("__name__")
    if not isinstance(module, str) or module == "__main__":
        return _plain(file)
    path = module.replace(".", "/")
    return _plain(f"{path}/{file}" if file == "__init__.py" else f"{path}.py")


def _plain(name: str) -> str:
    return _not_plain.sub("_", name) or "_"
