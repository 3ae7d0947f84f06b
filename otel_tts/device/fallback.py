# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An engine or a stage that ran on a device and now runs on the CPU. No tensor is read to find out.

Three things tell: what the engine says it runs on (`Entry.device`), which providers an onnxruntime session has left,
and the allocator. A stage that took device memory in each of its runs and now takes none, without being any faster for
it, no longer runs there. A cache hit takes none either, but is faster.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, Final

_RUNS: Final = 8
"""How often a stage must have been seen on the device, and never elsewhere, before its absence says anything."""
_MOST_KEYS: Final = 500
_CPU: Final = "cpu"
_CPU_PROVIDERS: Final = frozenset({"CPUExecutionProvider", "AzureExecutionProvider", "XnnpackExecutionProvider"})
_are_cpus: Final = _CPU_PROVIDERS.issuperset
_SAME_DEVICE: Final = {"tensorrt": "cuda", "nvtensorrtrtx": "cuda"}
"""Further names of a device among onnxruntime's providers."""

Key = tuple[str | None, ...]


class FallbackWatch:
    """Remembers, for one process, what ran on a device."""

    def __init__(self) -> None:
        self._engines: set[Key] = set()
        self._stages: dict[Key, _Runs] = {}

    def engine(self, key: Key, device: str | None) -> bool:
        """Take note of what an engine says it runs on; True where that was a device before and is the CPU now."""
        if device is None:
            return False
        if device == _CPU:
            return key in self._engines
        if len(self._engines) < _MOST_KEYS:
            self._engines.add(key)
        return False

    def stage(self, key: Key, touched: bool, nanoseconds: int) -> bool:
        """Take note of a stage that nothing else ran beside; True where it left the device."""
        runs = self._stages.get(key)
        if runs is None:
            if touched and len(self._stages) < _MOST_KEYS:
                self._stages[key] = _Runs(nanoseconds)
            return False
        return runs.add(touched, nanoseconds)


class _Runs:
    """Runs of one stage: `steady` while each of them was on the device."""

    __slots__ = ("count", "fallen", "fastest", "steady")

    def __init__(self, fastest: int) -> None:
        self.count, self.fastest, self.steady, self.fallen = 1, fastest, True, False

    def add(self, touched: bool, nanoseconds: int) -> bool:
        if touched:
            if self.fallen:  # it was there and came back: it goes now here, now there
                self.steady = self.fallen = False
            self.count += 1
            self.fastest = min(self.fastest, nanoseconds)
            return False
        if self.count < _RUNS or nanoseconds < self.fastest:
            self.steady = False
        self.fallen = self.steady
        return self.fallen


def kind_of_device(device: Any) -> str | None:
    """Return the kind of a device without its index: ``cuda`` for ``cuda:0``, a torch.device, or a provider's name.

    Of an onnxruntime session, what it runs on.
    """
    if device is None:
        return None
    if callable(getattr(device, "get_providers", None)):
        return sessions.device(device)
    kind = getattr(device, "type", device)
    if not isinstance(kind, str):
        return None
    kind = kind.partition(":")[0].strip().lower().removesuffix("executionprovider")
    return kind if kind.isascii() and kind.isalnum() and len(kind) <= 32 else None


# --- onnxruntime ----------------------------------------------------------------------------------------------------


class Sessions:
    """Which onnxruntime sessions were to run, or ran, on a device."""

    def __init__(self) -> None:
        self._wanted: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()

    def ask(self, session: Any, providers: Iterable[Any] | None) -> None:
        """Take note of the providers that a session was made with: names, or pairs of a name and options."""
        names = [provider if isinstance(provider, str) else provider[0] for provider in providers or ()]
        if any(name not in _CPU_PROVIDERS for name in names):
            self._wanted[session] = True

    def device(self, session: Any) -> str | None:
        """Return what `session` runs on: ``cpu`` where it has only the CPU left. Asking is free: it keeps a list."""
        providers = session.get_providers()
        if _are_cpus(providers):
            return _CPU if providers else None
        kind = kind_of_device(next(provider for provider in providers if provider not in _CPU_PROVIDERS))
        return _SAME_DEVICE.get(kind or "", kind)

    def fell_back(self, session: Any) -> bool:
        """Say whether `session` has only the CPU left of what it was to run on, or ran on before."""
        if not _are_cpus(session.get_providers()):
            self._wanted[session] = True
            return False
        return bool(self._wanted) and self._wanted.get(session, False)


sessions: Final = Sessions()
