# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Telling the person who waits what is going on: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

_PLAIN_INTERVAL_S = 60.0  # between signs of life where there is no terminal


class Progress(Protocol):
    """Where building and starting report to."""

    def line(self, text: str) -> None:
        """Say something that stays on the screen: a step is done, a warning."""
        ...

    def step(self, text: str) -> None:
        """Say which step begins now."""
        ...

    def detail(self, text: str) -> None:
        """Say what it is at within the step."""
        ...


class Silent:
    """Progress that nobody is shown."""

    def line(self, text: str) -> None: ...

    def step(self, text: str) -> None: ...

    def detail(self, text: str) -> None: ...


class Terminal:
    """Reports to a console; a context manager, since the moving line must be taken away at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._moving = console.is_terminal
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
        )
        self._bar = Bar(*columns, console=console, transient=True, disable=not self._moving)
        self._task = self._bar.add_task("", visible=False, detail="")
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Terminal:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def line(self, text: str) -> None:
        self._bar.update(self._task, visible=False)
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, text: str) -> None:
        self._began = self._told = time.monotonic()
        if self._moving:
            self._bar.reset(self._task, description=text, detail="", visible=True)
        else:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def detail(self, text: str) -> None:
        if self._moving:
            self._bar.update(self._task, detail=text[-60:])
            return
        now = time.monotonic()
        if now - self._told >= _PLAIN_INTERVAL_S:
            self._told = now
            self._console.print(f"  {now - self._began:.0f} s: {text}", markup=False, highlight=False, soft_wrap=True)
