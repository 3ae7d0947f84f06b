# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service in simulated time, as a watcher sees it: what goes wrong with it is for each kind to say."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_tts.watching.asking import Answer
from otel_tts.watching.audit import Audit
from otel_tts.watching.books import Books
from otel_tts.watching.commands import Ran
from otel_tts.watching.config import Action, Canary, Config, Page
from otel_tts.watching.inside import Inside
from otel_tts.watching.means import Spoken
from otel_tts.watching.watcher import Watcher

HOUR = 3600.0
DAY = 24 * HOUR


class SimulatedClock:
    """Time passes while somebody waits."""

    def __init__(self, now: float = 1000.0, wall: float = 1_700_000_000.0) -> None:
        self._now, self._wall, self._stopped = now, wall, False

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def sleep(self, seconds: float) -> bool:
        self._now += seconds
        self._wall += seconds
        return self._stopped

    def stop(self) -> None:
        self._stopped = True

    def set_wall(self, seconds: float) -> None:
        """Somebody sets the time of day."""
        self._wall += seconds


def config(**options: Any) -> Config:
    """A watcher's configuration with its defaults, and everything named that can be."""
    return Config(
        **{
            "name": "simulated", "page": Page("http://127.0.0.1:1/"), "canary": Canary("http://127.0.0.1:1/speak"),
            "restart": Action(("restart",)), **options,
        }
    )  # fmt: skip


class Service:
    """A service that is well and speaks now and then; `began` is when its process was started."""

    def __init__(self, clock: SimulatedClock, seed: int = 1) -> None:
        self.clock, self.chance = clock, random.Random(seed)
        self.began = clock.now()
        self.actions: list[str] = []
        self.heard = 0

    @property
    def age_s(self) -> float:
        return self.clock.now() - self.began

    def page(self, page: Page) -> Answer:
        return Answer(0.01, 200)

    def speak(self, canary: Canary) -> Spoken:
        return self.took(self.chance.uniform(0.4, 0.6))

    def took(self, seconds: float, failure: str = "", refused: bool = False) -> Spoken:
        self.clock.sleep(seconds)
        self.heard += not failure
        return Spoken(seconds, failure, refused)

    def inside(self) -> Inside | None:
        return Inside(alive=1, heard=self.heard, memory=0.3, gpus={"GPU-0": 0.5})

    def is_alive(self) -> bool | None:
        return None

    def cpu_s(self, pid: int) -> float | None:
        return self.clock.now() * 0.5

    def memory(self) -> tuple[float | None, float]:
        return None, 1.0

    def gpus(self) -> dict[str, float]:
        return {}

    def empty_cache(self) -> Ran:
        self.actions.append("empty_cache")
        return Ran(0, 0.1)

    def run(self, action: Action) -> Ran:
        self.actions.append(action.command[0])
        self.clock.sleep(5)
        self.began = self.clock.now()
        self.heard = 0
        return Ran(0, 5.0)


@dataclass
class Watched:
    """A watcher of a service in simulated time."""

    service: Service
    watcher: Watcher
    clock: SimulatedClock
    folder: Path
    audit: list[dict[str, Any]] = field(default_factory=list)

    def watch(self, seconds: float) -> Watched:
        """Let so much time pass."""
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            self.clock.sleep(10.0)
            self.watcher.look()
        return self

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in self.audit if line["event"] in names]


def watched(
    folder: Path, make: Callable[[SimulatedClock], Service], *, act: bool = True, clock: SimulatedClock | None = None,
    **options: Any,
) -> Watched:  # fmt: skip
    """A watcher that has begun, with the service that `make` makes."""
    clock = clock or SimulatedClock()
    service, books, audit = make(clock), Books(folder), list[dict[str, Any]]()
    watcher = Watcher(
        config(**options), service, clock, books, Audit(folder / "audit.jsonl"), act=act, tell=audit.append
    )
    watcher.begin()
    return Watched(service, watcher, clock, folder, audit)
