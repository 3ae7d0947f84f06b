# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at the GPUs once a second, on a thread of its own. Who wants to know reads the last look and never waits.

NVML may hang with the driver. Then this thread hangs, its looks grow old and are no longer reported, the hang is
counted once, and nothing else in the process notices.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from otel_tts.device.power.nvml import Gpu, Nvml, Snapshot, Unavailable
from otel_tts.guard import note_fault

_LONGEST_PAUSE_S: Final = 30.0
"""Seconds between two attempts to reach a driver that is gone."""
_OLD_AFTER: Final = 3
"""Intervals after which a look no longer says how things are, but at least 5 seconds."""
_LEAST_AGE_S: Final = 5.0
_HANGS_AFTER_S: Final = 10.0
"""Seconds after which a look that has not come back is called a hang."""
_MOST_BUSY: Final = 10
"""The thread rests this many times longer than a look took, where the driver is slow."""
_FORK_WAIT_S: Final = 0.2

Reading = Callable[[Snapshot], None]
Wanted = Callable[[], "Sequence[str] | None"]


class Poller:
    """One thread, or none while stopped. `reading` hears every look, `wanted` names the devices to look at."""

    def __init__(
        self,
        interval: float,
        reading: Reading = lambda snapshot: None,
        wanted: Wanted = lambda: None,
        connect: Callable[[], Nvml] = Nvml,
    ) -> None:
        self.interval = interval
        self.reason = "not started"
        """Why there are no looks, in words; empty while there are."""
        self._reading, self._wanted, self._connect = reading, wanted, connect
        self._reset()

    def _reset(self) -> None:
        self._stop = threading.Event()
        self._asking = threading.Lock()
        self._thread: threading.Thread | None = None
        self._nvml: Nvml | None = None
        self._names: Sequence[str] | None = None
        self._gpus: list[Gpu] = []
        self._known: dict[str, Gpu] = {}
        self._latest: tuple[Snapshot, ...] = ()
        self._looked = 0.0
        self._busy_since: float | None = None
        self._hang_told = False
        self._pause = 0.0
        self.rejected = 0
        self._rejected_before = 0

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, once; the first look is taken on the thread."""
        if self._thread is None and self.interval > 0:
            thread = threading.Thread(target=self._run, args=(self._stop,), name="otel-tts-nvml", daemon=True)
            self.reason, self._thread = "no look yet", thread
            try:
                thread.start()
            except RuntimeError:  # no more threads; or none any more, at the interpreter's end
                self.reason, self._thread = "no thread could be started", None  # the next request tries again

    def stop(self) -> None:
        """End without waiting: a look under way may hang."""
        self._stop.set()

    @property
    def started(self) -> bool:
        """Whether `start` was called in this process."""
        return self._thread is not None

    def renew(self) -> None:
        """Forget everything in a forked child, which has no thread and no handles; `start` begins anew."""
        self._reset()

    def hold(self) -> bool:
        """Before a fork: wait a moment for a look under way, whose locks inside the driver's library a child inherits.

        True: `release` has to be called.
        """
        return self._asking.acquire(timeout=_FORK_WAIT_S)

    def release(self) -> None:
        """After a fork, in the parent."""
        self._asking.release()

    # --- what is known ---------------------------------------------------------------------------------------------

    def snapshots(self) -> tuple[Snapshot, ...]:
        """Return the last look at every device; nothing once it is old. Never waits."""
        now = time.monotonic()
        busy = self._busy_since
        if busy is not None and now - busy > _HANGS_AFTER_S and not self._hang_told:
            self._hang_told = True
            note_fault("nvml", TimeoutError())
        if now - self._looked > max(_LEAST_AGE_S, _OLD_AFTER * max(self.interval, self._pause)):
            return ()
        return self._latest

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        wait: float | None = 0.0
        while wait is not None and not stop.wait(wait):
            began = time.monotonic()
            wait = self._try()
            if wait is not None:
                wait = max(wait, _MOST_BUSY * (time.monotonic() - began))
        self._retreat()

    def _try(self) -> float | None:
        """Look once, whatever happens; return the seconds to rest, None where there will never be anything to see."""
        try:
            return self._step()
        except Unavailable as unavailable:
            self.reason = str(unavailable)
            return None if unavailable.final else self._retreat()
        except Exception as error:
            note_fault("nvml", error)
            return self._retreat()

    def _step(self) -> float:
        """Look once; return the seconds to rest."""
        with self._asking:
            self._busy_since = time.monotonic()
            try:
                looks = self._look()
            finally:
                self._busy_since, self._hang_told = None, False
        self._latest, self._looked, self.reason = looks, time.monotonic(), ""
        for snapshot in looks:
            self._reading(snapshot)
        if any(snapshot.lost for snapshot in looks):
            return self._retreat()  # handles do not come back to life; a new initialisation may find the device again
        self._pause = 0.0
        return self.interval

    def _look(self) -> tuple[Snapshot, ...]:
        if self._nvml is None:
            self._nvml, self._gpus = self._connect(), []
            self._rejected_before = self.rejected
        names = self._wanted()
        if names != self._names:
            self._names, self._gpus, self._known = names, [], {}
        if not self._gpus:
            self._gpus = self._nvml.gpus(names)
            self._known |= {gpu.id: gpu for gpu in self._gpus}
        looks = [self._nvml.look(gpu) for gpu in self._gpus]
        self.rejected = self._rejected_before + self._nvml.rejected
        return (*looks, *self._missing())

    def _missing(self) -> Iterator[Snapshot]:
        """Yield what was there before and has not come back with a new initialisation."""
        present = {gpu.id for gpu in self._gpus}
        for gpu in self._known.values():
            if gpu.id not in present:
                yield Snapshot(gpu.id, time.perf_counter_ns(), gpu.parent, gpu.mig, lost=True)

    def _retreat(self) -> float:
        if self._nvml is not None:
            self._nvml.close()
            self._nvml = None
        self._pause = min(_LONGEST_PAUSE_S, max(self.interval, 2 * self._pause))
        return self._pause
