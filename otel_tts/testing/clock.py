# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks that stand in for the host's, wherever otel-tts and OpenTelemetry have bound one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Final

EPOCH_NS: Final = 1_700_000_000_000_000_000
"""The time of day at which a fake clock starts, ns."""
_PACKAGES: Final = frozenset({"otel_tts", "opentelemetry"})

Read = Callable[[], int]


@contextmanager
def put_clock(read: Read, time_of_day: Read) -> Generator[None]:
    """Put `read` in the place of ``time.perf_counter_ns`` and `time_of_day` in that of ``time.time_ns``.

    In the module ``time``, where whoever asks by that name finds them, and under whatever name a module of otel-tts or
    OpenTelemetry has bound them. At the end the same modules, and those that were imported meanwhile, get back what
    they had; what has been bound elsewhere reads the real clock again too. Deadlines go by ``time.monotonic``, which
    stays real. One inside of another has to end before it.
    """
    real = (time.perf_counter_ns, time.time_ns)
    on = True

    def perf_counter_ns() -> int:
        return read() if on else real[0]()

    def time_ns() -> int:
        return time_of_day() if on else real[1]()

    fake = (perf_counter_ns, time_ns)
    _exchange(real, fake)
    try:
        yield
    finally:
        on = False
        _exchange(fake, real)


def _exchange(old: tuple[Read, Read], new: tuple[Read, Read]) -> None:
    for module in (time, *_modules()):
        for name, value in list(vars(module).items()):
            for which, other in zip(old, new, strict=True):
                if value is which:
                    setattr(module, name, other)


def _modules() -> Iterator[ModuleType]:
    loaded: dict[str, ModuleType | None] = dict(sys.modules)  # None: an import that somebody has forbidden
    for name, module in loaded.items():
        if module is not None and name.partition(".")[0] in _PACKAGES:
            yield module


class FakeClock:
    """Host clock and time of day that move only when told to, from `__enter__` to `__exit__`.

    `ns` is what the host clock reads (perf_counter_ns). Begin it before `Telemetry`, so that what lives longest reads
    one clock only.
    """

    def __init__(self) -> None:
        self.ns = self._start = 5_000_000_000
        self._put = ExitStack()

    def read(self) -> int:
        """Return the host clock's time, ns."""
        return self.ns

    def time_of_day(self) -> int:
        """Return the time since 1970, ns; `EPOCH_NS` at first."""
        return EPOCH_NS + self.ns - self._start

    def tick(self, seconds: float) -> None:
        """Let `seconds` pass. Raises ValueError for less than none: the host's clock never goes back."""
        if seconds < 0:
            raise ValueError(f"a clock does not go back by {-seconds} s")
        self.ns += round(seconds * 1e9)

    def __enter__(self) -> FakeClock:
        self._put.enter_context(put_clock(self.read, self.time_of_day))
        return self

    def __exit__(self, *error: object) -> None:
        self._put.close()
