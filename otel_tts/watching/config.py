# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a watcher is told, as plain values. Times are in seconds, memory in bytes or as a share of all there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Page:
    """A page that answers while the service is well."""

    url: str
    timeout_s: float = 5.0


@dataclass(frozen=True)
class Canary:
    """A short synthesis that is asked for now and then: by HTTP, or by a command that writes audio to stdout.

    It is slow where it takes three times as long as it usually does, and failed after `within_s`. `format` pcm16, with
    `sample_rate` in Hz, is for answers without a header. `gradio` is the name of a function of the Gradio page at
    `url`, and `json` the list of its inputs then.
    """

    url: str = ""
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    json: Any = None
    gradio: str = ""
    command: tuple[str, ...] = ()
    format: str = ""
    sample_rate: int = 0
    every_s: float = 60.0
    within_s: float = 60.0


@dataclass(frozen=True)
class Stages:
    """When an open stage is stuck: nothing of it has moved for `stuck_after_s`.

    After `limit_s` without a stage that ended or a chunk that left, code that runs on is no progress either.
    """

    stuck_after_s: float = 300.0
    limit_s: float = 3600.0


@dataclass(frozen=True)
class Memory:
    """When memory is full: its floor, the least of `window_s`, is above `limit`, a share of all there is.

    It rises where the floor of each part of `rise_s` is above that before.
    """

    limit: float = 0.9
    window_s: float = 300.0
    rise_s: float = 3600.0


@dataclass(frozen=True)
class Gpu(Memory):
    """As `Memory`, of each device. `devices`, indices or UUIDs, are asked of the driver by the watcher itself; without
    them it goes by what the service's processes say."""

    limit: float = 0.95
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Action:
    """What is run, as a list of words: no shell takes part in it."""

    command: tuple[str, ...]
    timeout_s: float = 120.0


@dataclass(frozen=True)
class Limits:
    """More actions than `actions` in `within_s` open the breaker, which only a person resets."""

    actions: int = 3
    within_s: float = 6 * 3600.0


@dataclass(frozen=True)
class Config:
    """One watcher. `for_s`: so long both signals of a cause have to last; `settle_s`: so long an action is given to
    help before the next one; `start_period_s`: so long nothing is judged after a start."""

    name: str
    service: str = ""
    control: str = ""
    pid_file: str = ""
    state: str = ""
    heartbeat: bool = True
    every_s: float = 10.0
    for_s: float = 300.0
    settle_s: float = 60.0
    start_period_s: float = 120.0
    page: Page | None = None
    canary: Canary | None = None
    stages: Stages = field(default_factory=Stages)
    memory: Memory = field(default_factory=Memory)
    gpu: Gpu = field(default_factory=Gpu)
    restart: Action | None = None
    gpu_reset: Action | None = None
    limits: Limits = field(default_factory=Limits)
