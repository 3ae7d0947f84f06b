# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The driver's side of the workers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.bench.builds import HERE, Build

K = TypeVar("K")


@dataclass(frozen=True)
class Kind:
    """A way of recording (see `worker.make`), the build that it runs in, and variables of its own."""

    variant: str
    build: Build = HERE
    env: Mapping[str, str] = field(default_factory=dict[str, str])


class Worker:
    """A process that answers each line with a line of JSON. Its stderr is kept for when it fails."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], errors: Path, build: Build = HERE) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [str(build.python), "-m", *command], env=build.env(env), cwd=build.cwd, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            )  # fmt: skip

    def ask(self, line: str) -> dict[str, Any]:
        """Send `line` and return the answer."""
        self.send(line)
        return self.answer()

    def send(self, line: str) -> None:
        """Send `line` and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return the next answer. Raises RuntimeError with the end of its stderr when there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            tail = "\n".join(self._errors.read_text(errors="replace").splitlines()[-20:])
            raise RuntimeError(f"a measuring process ended; the end of what it said:\n{tail}")
        return json.loads(line)

    def end(self) -> None:
        """Close its stdin, which ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def workers(env: Mapping[str, str], folder: Path, kinds: Mapping[K, Kind]) -> Generator[dict[K, Worker]]:
    """Run one worker for each kind, all ready."""
    crew = {
        key: Worker(["tests.bench.worker", kind.variant], {**env, **kind.env}, folder / f"{i}.stderr", kind.build)
        for i, (key, kind) in enumerate(kinds.items())
    }
    try:
        for worker in crew.values():
            worker.answer()
        yield crew
    finally:
        for worker in crew.values():
            worker.end()


def in_turn(crew: Mapping[K, Worker], line: str, times: int) -> Generator[tuple[K, dict[str, Any]]]:
    """Ask all of them, `times` times, and yield who answered what. Every other time they are asked in reverse."""
    names = list(crew)
    for number in range(times):
        for name in reversed(names) if number % 2 else names:
            yield name, crew[name].ask(line)


def ask_once(module: str, *args: str, env: Mapping[str, str], folder: Path, build: Build = HERE) -> dict[str, Any]:
    """Run ``python -m module args`` in `build` and return what it answers."""
    worker = Worker([module, *args], env, folder / f"{module}.stderr", build)
    try:
        return worker.answer()
    finally:
        worker.end()
