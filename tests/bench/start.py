# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How long a Python takes to start and end that does nothing, and a server until it answers."""

from __future__ import annotations

import compileall
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench import service
from tests.bench.builds import HERE, ROOT, Build
from tests.bench.peers import environments
from tests.bench.report import Against, Row, at_most, missing, plain
from tests.integration.otlp_sink import OtlpSink

SECTION = "Starting a process"
IMPORT_LIMIT, LAUNCHER_LIMIT = 1.2, 0.75
_STOCK = "stock, with the same instrumentations"

Start = Callable[[], float]
"""Starts something and returns the seconds that were waited for it."""


def compare(builds: Sequence[Build], folder: Path, rounds: int, peers: bool = False) -> list[list[Row]]:
    """Start each in turn; a process's time is its whole one, with its last flush."""
    if HERE in builds:  # as what is installed is, also where PYTHONDONTWRITEBYTECODE is set
        compileall.compile_dir(ROOT / "otel_tts", quiet=1)
    peer = environments.find("stock", folder) if peers else None
    with OtlpSink() as sink:
        starts: dict[Any, Start] = {}
        for build in builds:
            starts |= {(what, build): start for what, start in _starts(build, sink, folder).items()}
        if peer is not None:
            stock = service.stock(peer)
            nothing = [*stock.launcher, str(peer.python), "-c", "pass"]
            starts["launcher"] = lambda: _run(peer, nothing, sink.env(**stock.env))
            starts["worker"] = lambda: _serve(stock, sink.env(), folder)
        times: dict[Any, list[float]] = {what: [] for what in starts}
        for turn in range(rounds + 1):
            for what in reversed(starts) if turn % 2 else starts:
                took = starts[what]()
                if turn:  # the first has to read everything from the disk
                    times[what].append(took)
    return [_rows(times, build, peers) for build in builds]


def _starts(build: Build, sink: OtlpSink, folder: Path) -> dict[str, Start]:
    nothing = [str(build.python), "-c", "pass"]
    launcher = [build.tool("opentelemetry-instrument"), "--distro", "otel_tts"]
    commands = {
        "python": nothing,
        "sdk": [str(build.python), "-c", "import opentelemetry.sdk.trace"],
        "import": [str(build.python), "-c", "import otel_tts"],
        "run": [build.tool("otel-tts"), "run", "--", *nothing],
        "launcher": [*launcher, *nothing],
    }
    starts: dict[str, Start] = {
        what: lambda command=command: _run(build, command, sink.env()) for what, command in commands.items()
    }
    starts["server"] = lambda: _serve(service.Server(build), sink.env(), folder)
    starts["worker"] = lambda: _serve(service.Server(build, tuple(launcher)), sink.env(), folder)
    return starts


def _run(build: Build, command: Sequence[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=build.env(env), cwd=build.cwd, check=True, capture_output=True)
    return time.perf_counter() - began


def _serve(server: service.Server, env: dict[str, str], folder: Path) -> float:
    """Two workers, so that there are a parent and its children; who answers is a child."""
    began = time.perf_counter()
    with service.serve(server, env, folder / "start.log", "--workers", "2"):
        return time.perf_counter() - began


def _rows(times: dict[Any, list[float]], build: Build, peers: bool) -> list[Row]:
    def of(key: Any) -> float:
        return statistics.median(times[key])

    def ratio(what: str, base: Any) -> tuple[float, str]:
        pairs = zip(times[what, build], times[base], strict=True)
        return statistics.median(a / b for a, b in pairs), f"{of((what, build)):.3g} s / {of(base):.3g} s"

    imported, detail = ratio("import", ("sdk", build))
    rows = [
        plain(SECTION, "`python -c pass`", of(("python", build)), "s", against=Against.NO),
        plain(SECTION, "`python -c 'import otel_tts'`", of(("import", build)), "s"),
        at_most(SECTION, "the same / `import opentelemetry.sdk.trace`", imported, IMPORT_LIMIT, "", detail),
        plain(SECTION, "`otel-tts run -- python -c pass`", of(("run", build)), "s"),
        plain(SECTION, "`opentelemetry-instrument python -c pass`, with otel-tts", of(("launcher", build)), "s"),
    ]
    if "launcher" in times:
        rows.append(
            plain(
                SECTION, f"`opentelemetry-instrument python -c pass`, {_STOCK}", of("launcher"), "s", against=Against.NO
            )
        )
        launched, detail = ratio("launcher", "launcher")
        rows.append(at_most(SECTION, f"otel-tts / {_STOCK}", launched, LAUNCHER_LIMIT, "", detail))
    elif peers:
        rows.append(missing(SECTION, f"otel-tts / {_STOCK}", environments.HINT))
    rows += [
        plain(SECTION, "uvicorn, until a worker of its answers, without", of(("server", build)), "s",
              against=Against.NO),
        plain(SECTION, "uvicorn, until a worker of its answers, with otel-tts", of(("worker", build)), "s"),
    ]  # fmt: skip
    if "worker" in times:
        rows.append(
            plain(SECTION, f"uvicorn, until a worker of its answers, {_STOCK}", of("worker"), "s", against=Against.NO)
        )
        answered, detail = ratio("worker", "worker")
        rows.append(plain(SECTION, f"otel-tts / {_STOCK}", answered, "×", detail, Against.NO))
    elif peers:
        rows.append(missing(SECTION, f"otel-tts / {_STOCK}", environments.HINT))
    return rows
