# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Celery worker whose pool is gevent's or eventlet's: their patches come before any thread of ours.

Celery patches as the first thing that it does, but the launcher is there before it: threads that began as real ones and
locks that are half one kind hang the first and crash the second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from otel_tts.guard import contain

_POOL: Final = "--pool"
_SHORT: Final = "-P"


def patch_if_told(command_line: Sequence[str] = tuple(sys.orig_argv)) -> None:
    """Patch as Celery is about to do, where this process is such a worker; what it cannot import it says itself."""
    if (patch := _PATCHES.get(pool_of(command_line))) is not None:
        contain("green", _try, patch)


def pool_of(command_line: Sequence[str]) -> str:
    """Return the pool that a Celery worker's command line names; empty where it is none, or names none."""
    if "worker" not in command_line or not any(_is_celery(word) for word in command_line):
        return ""
    for word, following in zip(command_line, [*command_line[1:], ""], strict=True):
        if word in (_SHORT, _POOL):
            return following
        if word.startswith(f"{_POOL}="):
            return word.removeprefix(f"{_POOL}=")
    return ""


def _is_celery(word: str) -> bool:
    return PurePath(word).name == "celery" or word.endswith("celery/__main__.py")


def _try(patch: Callable[[], object]) -> None:
    try:
        patch()
    except ImportError:
        pass


def _patch_for_gevent() -> None:
    from gevent import monkey  # type: ignore[import-not-found]

    everything: Any = monkey
    everything.patch_all()


def _patch_for_eventlet() -> None:
    import eventlet  # type: ignore[import-not-found]

    everything: Any = eventlet
    everything.monkey_patch()


_PATCHES: Final[Mapping[str, Callable[[], object]]] = {"gevent": _patch_for_gevent, "eventlet": _patch_for_eventlet}
