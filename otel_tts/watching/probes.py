# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One look at the service: what each probe says of its signals. What is not known is left out, and accuses nobody."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterator
from typing import Final

from otel_tts.watching import signals
from otel_tts.watching.clock import Clock
from otel_tts.watching.config import Canary, Config, Memory
from otel_tts.watching.floor import Floor
from otel_tts.watching.inside import Inside
from otel_tts.watching.means import Means
from otel_tts.watching.signals import Said

_SLOWER: Final = 3.0
"""A canary that takes so many times its usual time is slow."""
_LEAST_SLOW_S: Final = 1.0
_KNOWN_FROM: Final = 5
"""Canaries before the usual time is known."""
_LAST: Final = 50
_FALLBACKS: Final = 3
"""Requests in a row on the CPU that are a fallback of the service, not of one request."""
_IDLE: Final = 0.01
"""Share of a CPU below which a process does nothing."""

_LATE_LOOP_S: Final = 1.0
"""An event loop that is late by so much is why a page does not answer."""

Signals = Iterator[tuple[str, Said]]


class Probes:
    """Looks with `means`, and remembers what takes more than one look to see."""

    def __init__(self, config: Config, means: Means, clock: Clock) -> None:
        self._config, self._means, self._clock = config, means, clock
        self._canary = UsualTime()
        self._asked: float | None = None
        self._said: dict[str, Said] = {}
        self._cpu: dict[int, tuple[float, float]] = {}
        self._memory = Floor(config.memory.window_s, config.memory.rise_s)
        self._gpus: dict[str, Floor] = {}
        self.inside: Inside | None = None
        """What the processes said at the last look."""

    def look(self, anew: bool = False) -> dict[str, Said]:
        """Ask everything that is due, and return what is known of each signal; `anew`: the canary is due now."""
        if anew:
            self._asked = None
        self.inside = self._means.inside()
        found = dict(self._look_at_page())
        found |= self._look_at_canary()
        found |= dict(self._look_inside(self.inside)) if self.inside is not None else {}
        found |= dict(self._look_at_process(self.inside))
        found |= dict(self._look_at_memory(self.inside))
        return found

    def forget(self) -> None:
        """A new process has been started: what was known of the one before says nothing of it."""
        self._said, self._asked, self._cpu = {}, None, {}
        self._memory = Floor(self._config.memory.window_s, self._config.memory.rise_s)
        self._gpus = {}

    def _look_at_page(self) -> Signals:
        if (page := self._config.page) is not None:
            answer = self._means.page(page)
            bad = answer.status is None or answer.status >= 500
            lag = self.inside.loop_lag_s if self.inside is not None else 0.0
            blocked = f"; an event loop was late by {lag:.1f} s" if lag >= _LATE_LOOP_S else ""
            yield signals.PAGE, Said(bad, (answer.reason or f"status {answer.status}") + blocked)

    def _look_at_canary(self) -> dict[str, Said]:
        """A canary's answer holds until the next one."""
        canary, now = self._config.canary, self._clock.now()
        if canary is not None and (self._asked is None or now - self._asked >= canary.every_s):
            self._asked = now
            self._said = self._ask_canary(canary)
        return self._said

    def _ask_canary(self, canary: Canary) -> dict[str, Said]:
        busy = self.inside is not None and bool(self.inside.still)
        spoken = self._means.speak(canary)
        if spoken.refused:  # it is there, and busy
            return {signals.CANARY: Said(False, "refused")}
        if spoken.failure:
            return {signals.CANARY: Said(True, spoken.failure)}
        if busy:  # it may have waited for others
            return {signals.CANARY: Said(False)}
        slow = self._canary.is_slow(spoken.seconds)
        return {
            signals.CANARY: Said(False),
            signals.SLOW: Said(slow, f"{spoken.seconds:.3g} s, usually {self._canary.usual_s:.3g} s" if slow else ""),
        }

    def _look_inside(self, inside: Inside) -> Signals:
        stages = self._config.stages
        still = inside.still_s >= stages.stuck_after_s or inside.quiet_s >= stages.limit_s
        yield signals.STUCK, Said(still, f"{inside.stage} still for {inside.still_s:.0f} s" if still else "")
        if inside.heard:
            fell = inside.fallbacks >= _FALLBACKS
            yield signals.FALLBACK, Said(fell, f"{inside.fallbacks} requests" if fell else "")
        frozen = [pid for pid in inside.mute if self._is_idle(pid)]
        yield signals.FROZEN, Said(bool(frozen) and not inside.alive, f"process {frozen[0]}" if frozen else "")

    def _is_idle(self, pid: int) -> bool:
        """Whether a process has used no CPU since the last look."""
        now, used = self._clock.now(), self._means.cpu_s(pid)
        before = self._cpu.get(pid)
        if used is None:
            return False
        self._cpu[pid] = (now, used)
        return before is not None and now > before[0] and (used - before[1]) / (now - before[0]) < _IDLE

    def _look_at_process(self, inside: Inside | None) -> Signals:
        """Gone is who left his socket behind, or whose number is in the file: who was stopped takes both away."""
        alive = self._means.is_alive()
        if alive is None and inside is not None and (inside.alive or inside.mute or inside.gone):
            alive = bool(inside.alive or inside.mute)
        if alive is not None:
            yield signals.GONE, Said(not alive, "" if alive else "its process is not there")

    def _look_at_memory(self, inside: Inside | None) -> Signals:
        now, limits = self._clock.now(), self._config.memory
        used, total = self._means.memory()
        used = inside.memory if inside is not None and inside.memory is not None else used
        if used is not None:
            self._memory.add(now, used / total)
            yield from _judge(self._memory, now, limits, signals.MEMORY, signals.MEMORY_RISES)
        limits = self._config.gpu
        for gpu, share in (self._means.gpus() or (inside.gpus if inside is not None else {})).items():
            self._gpus.setdefault(gpu, Floor(limits.window_s, limits.rise_s)).add(now, share)
        full = (_judge(floor, now, limits, signals.GPU, signals.GPU_RISES) for floor in self._gpus.values())
        worst: dict[str, Said] = {}
        for name, said in (each for one in full for each in one):
            worst[name] = said if said.bad else worst.get(name, said)
        yield from worst.items()


def _judge(floor: Floor, now: float, limits: Memory, full: str, rising: str) -> Signals:
    lowest, rises = floor.lowest(now), floor.rises(now)
    if lowest is not None:
        yield full, Said(lowest > limits.limit, f"never below {lowest:.0%} in {limits.window_s:.0f} s")
    if rises is not None:
        yield rising, Said(rises, f"for {limits.rise_s:.0f} s")


class UsualTime:
    """How long a canary usually takes: the median of the latest that were not slow."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_LAST)

    @property
    def usual_s(self) -> float:
        """Seconds, 0 before it is known."""
        return statistics.median(self._seconds) if len(self._seconds) >= _KNOWN_FROM else 0.0

    def is_slow(self, seconds: float) -> bool:
        """Take note of one that spoke, and say whether it was slow."""
        usual = self.usual_s
        if usual and seconds > max(_LEAST_SLOW_S, _SLOWER * usual):
            return True
        self._seconds.append(seconds)
        return False
