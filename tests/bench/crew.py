# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The driver's side of the workers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Worker:
    """A process that answers each line with a line of JSON. Its stderr is kept for when it fails."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command], env=dict(env), cwd=ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            )  # fmt: skip

    def ask(self, line: str) -> dict[str, Any]:
        """Send `line` and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self.answer()

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
def workers(
    env: Mapping[str, str], folder: Path, variants: Sequence[str], module: str = "tests.bench.worker"
) -> Generator[dict[str, Worker]]:
    """Run one worker for each variant, all ready."""
    crew = {name: Worker([module, name], env, folder / f"{i}.stderr") for i, name in enumerate(variants)}
    try:
        for worker in crew.values():
            worker.answer()
        yield crew
    finally:
        for worker in crew.values():
            worker.end()


def ask_once(module: str, *args: str, env: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Run ``python -m module args`` and return what it answers."""
    worker = Worker([module, *args], env, folder / f"{module}.stderr")
    try:
        return worker.answer()
    finally:
        worker.end()
