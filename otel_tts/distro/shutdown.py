# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The last flush: bounded, all signals side by side, however the process ends.

atexit alone is not enough. uvicorn raises SIGTERM again after its graceful shutdown and the default action skips
atexit; gunicorn resets signal handlers; forked children leave by os._exit. So there are five ways in: a SIGTERM handler
where the default one was, the ASGI lifespan's end, multiprocessing's finalizers, os._exit in a forked child
(`hard_exit`), and atexit. They share one budget of time: a collector that is down is waited for once, not five times.

SIGKILL loses what is younger than the export interval, and so does os._exit in a process that was not forked.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import Any, Final

from wrapt import register_post_import_hook

from otel_tts.background import Worker, run_beside
from otel_tts.distro import hard_exit, losses
from otel_tts.guard import contain
from otel_tts.otel_private.pipeline import SIGNALS, Pipeline

_REFILL_S: Final = 60.0
"""Seconds after which a budget that was used up on a dead collector is whole again."""
_AFTER_ALL_OTHERS: Final = -1000
"""multiprocessing runs finalizers from high to low."""


class Budget:
    """Seconds that all ways out share."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._now = now
        self._spent = 0.0
        self._last = 0.0

    def left(self) -> float:
        """Return what may be spent now."""
        if self._now() - self._last > _REFILL_S:
            self._spent = 0.0
        return max(0.0, self.seconds - self._spent)

    def note(self, seconds: float, delivered: bool) -> None:
        """Take note of a flush; one that delivered everything costs nothing."""
        self._spent = 0.0 if delivered else self._spent + seconds
        self._last = self._now()


class Exit:
    """What happens to this process's telemetry when it ends."""

    def __init__(self, pipeline: Pipeline, timeout: float) -> None:
        self._pipeline = pipeline
        self._workers = {name: Worker(f"otel-tts-{name}", f"flush.{name}") for name in ("recorder", *SIGNALS)}
        self._park()
        self._budget = Budget(timeout)
        self._ended = False
        self._one_at_a_time = threading.RLock()  # a signal handler may interrupt the thread that holds it
        self._process = os.getpid()

    def flush(self, timeout: float | None = None) -> bool:
        """Send everything that waits, for at most `timeout` seconds (default: what is left of the budget)."""
        return self._end(self._jobs(lambda signal: "force_flush"), timeout)

    def shutdown(self, timeout: float | None = None) -> bool:
        """Flush, then end the providers made here; the application's are flushed only. Later calls do nothing."""
        if self._ended:
            return True
        contain("control", _close_control)
        joined = self._pipeline.joined
        done = self._end(
            self._jobs(lambda signal: "force_flush" if signal in joined else "shutdown"), timeout, last=True
        )
        self._ended = True
        return done

    def leave(self, at_most: float) -> bool:
        """Flush, then end the providers made here, in no more than `at_most` seconds of the budget."""
        return self.shutdown(min(at_most, self._budget.left()))

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._one_at_a_time = threading.RLock()
        self._budget = Budget(self._budget.seconds)
        for worker in self._workers.values():
            worker.renew()
        self._park()
        self._process = os.getpid()

    def _park(self) -> None:
        for worker in self._workers.values():
            worker.start()

    def _run(self, jobs: Mapping[str, Callable[[], object]], seconds: float) -> list[str]:
        return run_beside(self._workers, jobs, seconds)

    def _jobs(self, method: Callable[[str], str]) -> dict[str, Callable[[], object]]:
        """Return what there is to call: a configuration file may leave a signal without a provider."""
        calls = {s: getattr(self._pipeline.provider(s), method(s), None) for s in SIGNALS}
        return {signal: call for signal, call in calls.items() if call is not None}

    def _end(self, jobs: dict[str, Callable[[], object]], timeout: float | None, last: bool = False) -> bool:
        seconds = self._budget.left() if timeout is None else timeout
        # A pool may end a child that has hardly begun: what waits there is its parent's, and nobody is there to work.
        if self._process != os.getpid():
            return False
        # Two ways out at once, as SIGTERM in the middle of atexit: the second one waits for the first, no longer.
        if self._ended or not self._one_at_a_time.acquire(timeout=max(seconds, 0.001)):
            return False
        try:
            return self._within(seconds, jobs, last)
        finally:
            self._one_at_a_time.release()

    def _within(self, seconds: float, jobs: dict[str, Callable[[], object]], last: bool) -> bool:
        began = time.monotonic()
        late = self._run({"recorder": lambda: _drain(seconds, last)}, seconds)
        late += self._run(jobs, max(0.0, seconds - (time.monotonic() - began)))
        if not late and not last and losses.anything_waits():
            left = max(0.0, seconds - (time.monotonic() - began))
            self._run({signal: partial(losses.settle, signal, left) for signal in jobs}, left)
        self._budget.note(time.monotonic() - began, delivered=not late)
        if late or last:
            contain("shutdown.report", losses.report, late, seconds)
        return not late


def _drain(seconds: float, last: bool) -> None:
    from otel_tts.emit import emitter

    if (current := emitter.current()) is not None:
        if last:
            current.close(seconds)
        else:
            current.drain(seconds, breathe=False)


_exit: Exit | None = None


def install(pipeline: Pipeline, timeout: float) -> Exit:
    """Take care of this process's end; of the SDK's own atexit handlers, which wait 30 s for each signal, let go."""
    global _exit
    _exit = Exit(pipeline, timeout)
    for name in SIGNALS:
        if name not in pipeline.joined:
            atexit.unregister(getattr(pipeline.provider(name), "shutdown", None))  # pyright: ignore[reportArgumentType]
    atexit.register(shutdown)
    _take_sigterm()
    register_post_import_hook(partial(contain, "shutdown", _flush_multiprocessing_children), "multiprocessing.util")
    hard_exit.install(pipeline, _exit.leave)
    return _exit


def uninstall() -> None:
    """Forget the providers and give SIGTERM back (tests)."""
    global _exit
    _exit = None
    hard_exit.uninstall()
    atexit.unregister(shutdown)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def flush(timeout: float | None = None) -> bool:
    """Send what waits. True when all of it left in time; False where nothing is configured."""
    return False if _exit is None else _quietly(_exit.flush, timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Flush and end telemetry for good. Harmless when called again, or where nothing is configured."""
    return False if _exit is None else _quietly(_exit.shutdown, timeout)


def renew() -> None:
    """Park new threads in a forked child, and take care of its end."""
    if _exit is not None:
        _exit.renew()
        hard_exit.arm()


def _close_control() -> None:
    """Take the control socket away: one that is left behind says that its process has died."""
    if (control := sys.modules.get("otel_tts.control.start")) is not None:
        control.stop()


def _quietly(end: Callable[[float | None], bool], timeout: float | None) -> bool:
    try:
        return bool(contain("shutdown", end, timeout))
    except KeyboardInterrupt:  # a second Ctrl-C means now
        return False


def _take_sigterm() -> None:
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    """Flush, then die of the signal as the process would have without us: the parent sees -SIGTERM.

    As PID 1 of a container the process survives, since the kernel ignores signals without a handler there. That is also
    how it would have been, and the reason for a flush where one would think of a shutdown.
    """
    flush()
    contain("shutdown.report", losses.report, (), 0.0)
    contain("control", _close_control)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _on_sigterm)


def _flush_multiprocessing_children(util: Any) -> None:
    util.register_after_fork(util.Finalize, _flush_before_leaving)  # called in each child, forked or spawned


def _flush_before_leaving(finalize: Any) -> None:
    finalize(None, _flush_finally, exitpriority=_AFTER_ALL_OTHERS)


def _flush_finally() -> None:
    flush()
    contain("control", _close_control)
    hard_exit.disarm()  # that comes next
