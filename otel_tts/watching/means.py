# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the watcher sees the world with and acts on it with: HTTP, the control sockets, commands."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import psutil

from otel_tts import marking
from otel_tts.device.power.poller import Poller
from otel_tts.watching import commands, gradio_page, heard
from otel_tts.watching.asking import LARGEST, Answer, ask
from otel_tts.watching.commands import Ran
from otel_tts.watching.config import Action, Canary, Config, Page
from otel_tts.watching.inside import Inside, Sockets, put_together

MARK: Final = "CANARY_HEADER"
"""Variable that a canary's command finds the header in, as ``name: value``."""
_BUSY: Final = frozenset({429, 503})
_EMPTY_WITHIN_S: Final = 10.0


@dataclass(frozen=True)
class Spoken:
    """What became of a canary: the seconds it took, and why it failed, in our words; empty where it did not.

    `refused`: the service is there and has too much to do, which is no failure.
    """

    seconds: float
    failure: str = ""
    refused: bool = False


class Means(Protocol):
    """What a watcher asks and does."""

    def page(self, page: Page) -> Answer:
        """Ask for the page."""
        ...

    def speak(self, canary: Canary) -> Spoken:
        """Ask for a short synthesis, and listen."""
        ...

    def inside(self) -> Inside | None:
        """What the processes say; None where no control folder is named."""
        ...

    def is_alive(self) -> bool | None:
        """Whether the process of the file of its number is there; None where none is named or nothing is in it."""
        ...

    def cpu_s(self, pid: int) -> float | None:
        """Seconds of CPU that a process has used; None where it cannot be seen from here."""
        ...

    def memory(self) -> tuple[float | None, float]:
        """Bytes that the process of the file of its number uses, and those that this machine or this container has."""
        ...

    def gpus(self) -> Mapping[str, float]:
        """Of each device that is named, the share of its memory that is in use; where it cannot be had, nothing."""
        ...

    def empty_cache(self) -> Ran:
        """Let every process empty torch's cache."""
        ...

    def run(self, action: Action) -> Ran:
        """Run an action's command."""
        ...


class RealMeans:
    """This machine's."""

    def __init__(self, config: Config) -> None:
        self._sockets = Sockets(Path(config.control)) if config.control else None
        self._pid_file = Path(config.pid_file) if config.pid_file else None
        devices = config.gpu.devices
        self._driver = Poller(config.every_s if devices else 0.0, wanted=lambda: devices)
        self._driver.start()

    def page(self, page: Page) -> Answer:
        return ask(page.url, page.timeout_s)

    def speak(self, canary: Canary) -> Spoken:
        if canary.command:
            ran, body = commands.read_output(canary.command, self._variable(), canary.within_s, LARGEST)
            failure = "" if ran.well else ran.reason or f"its command ended with status {ran.status}"
            return _listen(canary, ran.seconds, failure, body)
        answer = self._ask(canary, {**canary.headers, **self._mark()})
        if answer.status in _BUSY:
            return Spoken(answer.seconds, refused=True)
        failure = answer.reason if answer.status is None else "" if answer.status == 200 else f"status {answer.status}"
        return _listen(canary, answer.seconds, failure, answer.body, answer.media_type)

    def _ask(self, canary: Canary, headers: Mapping[str, str]) -> Answer:
        if canary.gradio:
            return gradio_page.speak(canary.url, canary.gradio, canary.json, headers, canary.within_s)
        if canary.json is None:
            return ask(canary.url, canary.within_s, method=canary.method, headers=headers)
        sent, body = {"Content-Type": "application/json", **headers}, json.dumps(canary.json).encode()
        return ask(canary.url, canary.within_s, method=canary.method, headers=sent, body=body)

    def _mark(self) -> Mapping[str, str]:
        token = self._sockets.token() if self._sockets is not None else None
        return {marking.HEADER: marking.sign(token, time.time())} if token is not None else {}

    def _variable(self) -> Mapping[str, str]:
        mark = next(iter(self._mark().items()), None)
        return {MARK: ": ".join(mark)} if mark is not None else {}

    def inside(self) -> Inside | None:
        return put_together(self._sockets.ask("health")) if self._sockets is not None else None

    def is_alive(self) -> bool | None:
        pid = self._pid()
        return None if pid is None else psutil.pid_exists(pid) and _is_no_zombie(pid)

    def _pid(self) -> int | None:
        with suppress(OSError, ValueError):
            if self._pid_file is not None:
                return int(self._pid_file.read_text(encoding="ascii")[:20])
        return None

    def cpu_s(self, pid: int) -> float | None:
        with suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            return times.user + times.system
        return None

    def memory(self) -> tuple[float | None, float]:
        used, pid = None, self._pid()
        with suppress(psutil.Error):
            if pid is not None:
                process = psutil.Process(pid)
                used = float(sum(one.memory_info().rss for one in (process, *process.children(recursive=True))))
        return used, _total()

    def gpus(self) -> Mapping[str, float]:
        shares: dict[str, float] = {}
        for one in self._driver.snapshots():
            if one.memory_total and one.memory_used is not None:
                shares[one.id] = one.memory_used / one.memory_total
        return shares

    def empty_cache(self) -> Ran:
        began = time.monotonic()
        replies = self._sockets.ask("empty-cache", _EMPTY_WITHIN_S) if self._sockets is not None else []
        emptied = [reply for reply in replies if reply.said.get("emptied") is True]
        reason = "" if emptied else "no process has emptied a cache"
        return Ran(0 if emptied else None, time.monotonic() - began, reason)

    def run(self, action: Action) -> Ran:
        return commands.run(action.command, action.timeout_s)


def _listen(canary: Canary, seconds: float, failure: str, body: bytes, media_type: str = "") -> Spoken:
    if not failure:
        wrong = heard.judge(body, media_type, canary.sample_rate if canary.format else 0)
        failure = ", ".join(name for name in wrong if name in heard.FAILURES)
    return Spoken(seconds, failure)


def _is_no_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _total() -> float:
    """Bytes of memory of this container, where it has less than the machine."""
    machine = float(psutil.virtual_memory().total)
    with suppress(OSError, ValueError):
        return min(machine, float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return machine
