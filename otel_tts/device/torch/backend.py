# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The few calls that clocks and memory need of a device's runtime, and how the application's runtime is found.

torch is used only where the application has imported it, a device only where the application has initialised it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from otel_tts.guard import contain


class Backend(Protocol):
    """Streams and events are the runtime's own objects. Every call may raise what the runtime raises."""

    kind: str

    def is_ready(self) -> bool:
        """Whether the application has initialised the device in this process. Initialises nothing."""
        ...

    def current_stream(self) -> Any:
        """The calling thread's current stream."""
        ...

    def device_of(self, stream: Any) -> int:
        """Index of the stream's device."""
        ...

    def is_capturing(self) -> bool:
        """Whether the current stream is capturing a graph."""
        ...

    def new_event(self) -> Any:
        """An event with timing."""
        ...

    def record(self, event: Any, stream: Any) -> None:
        """Queue `event` on `stream`. Never blocks."""
        ...

    def query(self, event: Any) -> bool:
        """Whether the device has passed `event`. Never blocks; illegal while a graph is being captured."""
        ...

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two events that the device has passed, in single precision."""
        ...

    def sync_stream(self, stream: Any) -> None:
        """Wait until the stream is empty."""
        ...

    def adopt_thread(self) -> None:
        """The calling thread is ours and about to `query`: keep it from disturbing captures of other threads."""


def _candidates(torch: Any) -> Sequence[Backend]:
    """Return the backends that this build of torch could have."""
    from otel_tts.device.torch.cuda import CudaBackend
    from otel_tts.device.torch.xpu import XpuBackend

    makers: tuple[Callable[[Any], Backend | None], ...] = (CudaBackend.of, XpuBackend.of)
    return [backend for backend in (contain("backend", make, torch) for make in makers) if backend is not None]


class Finder:
    """Looks for a device that is ready; cheap enough to be asked at each stage until there is one."""

    def __init__(self) -> None:
        self._known: Sequence[Backend] | None = None

    def __call__(self) -> Backend | None:
        if self._known is None:
            torch = sys.modules.get("torch")
            if torch is None or getattr(torch.__spec__, "_initializing", False):
                return None
            self._known = _candidates(torch)
        for backend in self._known:
            if backend.is_ready():
                return backend
        return None


find: Final = Finder()
"""The process's own finder, shared by all that need the device."""
