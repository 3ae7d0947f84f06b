# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""numpy, imported when it is first used: a process that never hears a sample does without, and starts sooner.

That may be on a thread of ours, so a fork waits for it: the locks of a half-done import would stay held in the child.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from typing import Any, Final

from otel_tts import forking

_KINDS: Final = frozenset({"floating", "generic", "integer", "ndarray", "number"})
"""Asked for by ``isinstance`` alone: nothing is of these kinds where numpy is not loaded."""
_PATIENCE_S: Final = 5.0
"""Seconds that a fork waits: longer takes only a disk that hangs."""


class _Loaded:
    """numpy's names, found as quickly as in the module."""


class _Late(_Loaded):
    def __getattr__(self, name: str) -> Any:
        if name in _KINDS and "numpy" not in sys.modules:
            return ()  # isinstance knows this as no kind at all
        with _importing:
            numpy = import_module("numpy")
        self.__dict__.update((key, value) for key, value in vars(numpy).items() if not key.startswith("__"))
        self.__class__ = _Loaded  # pyright: ignore[reportAttributeAccessIssue]
        return getattr(numpy, name)


_importing = threading.RLock()
_held = False
np: Final[Any] = _Late()
"""Takes numpy's place in a module. For the type checker that imports numpy itself."""


def load() -> None:
    """Import it now, where a request would have to wait for it later."""
    _ = np.dtype


def _hold() -> None:
    global _held
    _held = _importing.acquire(timeout=_PATIENCE_S)


def _release() -> None:
    if _held:
        _importing.release()


def _renew() -> None:
    global _importing
    _importing = threading.RLock()


forking.register("numpy", hold=_hold, release=_release, renew=_renew)
