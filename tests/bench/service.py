# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""hibari behind FastAPI, with and without telemetry.

One server's speed differs from the next's by more than what is measured (where its memory lies), so there are four
processes of each kind, all alive at once and asked in a random order, a new one each round.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import statistics
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.builds import Build
from tests.bench.content import TEXT
from tests.bench.peers import environments
from tests.bench.report import Against, Row, at_most, missing, plain
from tests.integration.otlp_sink import OtlpSink, SinkSpan

SECTION = "hibari through FastAPI"
LIMIT = 1.02
EACH = 4
"""Processes of each kind."""
HOST = "127.0.0.1"
APP = "tests.bench.app:app"
OURS = "otel-tts"
PLAIN, CONTRIB, OWN = "without", "with contrib's server span alone", "with FastAPI's own server span alone"
_WARM_UP = 10


@dataclass(frozen=True)
class Server:
    """How to start one kind of server: what stands before ``python -m uvicorn``."""

    build: Build
    launcher: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    def command(self, port: int, *options: str) -> list[str]:
        uvicorn = [str(self.build.python), "-m", "uvicorn", APP, "--host", HOST, "--port", str(port)]
        return [*self.launcher, *uvicorn, "--timeout-keep-alive", "600", *options]  # the others start meanwhile


def ours(build: Build) -> Server:
    """Started by ``otel-tts run``."""
    return Server(build, (build.tool("otel-tts"), "run", "--"), {"OTEL_METRIC_EXPORT_INTERVAL": "10000"})


def stock(build: Build, *disabled: str) -> Server:
    """Started by OpenTelemetry's launcher, with its default distribution."""
    env = {
        **{f"OTEL_{signal}_EXPORTER": "otlp" for signal in ("TRACES", "METRICS", "LOGS")},
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "10000",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(disabled),
    }
    return Server(build, (build.tool("opentelemetry-instrument"),), env)


def compare(builds: Sequence[Build], folder: Path, count: int, peers: bool = False) -> list[list[Row]]:
    """Ask each server `count` times for the same sentence."""
    kinds: dict[Any, Server] = {PLAIN: Server(builds[0]), **{build: ours(build) for build in builds}}
    absent: list[Row] = []
    if peers:
        if (peer := environments.find("stock", folder)) is not None:
            kinds |= {CONTRIB: stock(peer), OWN: stock(peer, "fastapi")}
        else:
            absent = [missing(SECTION, f"added {kind}", environments.HINT) for kind in (CONTRIB, OWN)]
    medians, tails, spans = _measure(kinds, folder, count)
    wanted = EACH * (count + _WARM_UP)

    def added(kind: Any) -> tuple[float, str]:
        least, most = min(medians[kind]), max(medians[kind])
        lost = "" if spans[kind] == wanted else f"; {spans[kind]} of {wanted} spans arrived"
        middle = statistics.median(medians[kind]) - statistics.median(medians[PLAIN])
        without = f"without {min(medians[PLAIN]):.2f} to {max(medians[PLAIN]):.2f}"
        return middle, f"{least:.2f} to {most:.2f} ms, {without}{lost}"

    others = [
        plain(SECTION, f"added {kind}", *_split(added(kind)), Against.NO) for kind in (CONTRIB, OWN) if kind in kinds
    ]
    result: list[list[Row]] = []
    for build in builds:
        with_it, without = statistics.median(medians[build]), statistics.median(medians[PLAIN])
        detail = f"{with_it:.2f} ms / {without:.2f} ms, {EACH} processes each, {count} requests each"
        result.append([
            at_most(SECTION, "median request time, with / without", with_it / without, LIMIT, "", detail),
            plain(SECTION, f"added with {OURS}", *_split(added(build)), Against.SHOWN),
            plain(SECTION, "95th percentile, with / without", tails[build] / tails[PLAIN], "×", against=Against.SHOWN),
            Row(SECTION, "syntheses that arrived at the receiver", f"{spans[build]} of {wanted}", spans[build],
                "all", spans[build] == wanted),
            *others, *absent,
        ])  # fmt: skip
    return result


def _is_asked_for(kind: Any, span: SinkSpan) -> bool:
    """Whether a span is the one that each request has to leave: ours the synthesis, a peer the server's."""
    if kind in (CONTRIB, OWN):
        return span.kind == "SERVER" and span.name == "POST /v1/audio/speech"
    return span.name.startswith("text_to_speech")


def _split(added: tuple[float, str]) -> tuple[float, str, str]:
    return added[0], "ms", added[1]


def _measure(
    kinds: Mapping[Any, Server], folder: Path, count: int
) -> tuple[dict[Any, list[float]], dict[Any, float], dict[Any, int]]:
    """Return each kind's median of each process in ms, its 95th percentile, and the syntheses that its sink got."""
    times: dict[tuple[Any, int], list[float]] = {(kind, number): [] for kind in kinds for number in range(EACH)}
    order, chance = list(times), random.Random(0)
    with ExitStack() as stack:
        sinks = {kind: stack.enter_context(OtlpSink()) for kind in kinds}
        with ExitStack() as servers:
            connections = {
                (kind, number): servers.enter_context(
                    serve(kinds[kind], sinks[kind].env(), folder / f"server-{i}-{number}.log")
                )
                for i, kind in enumerate(kinds)
                for number in range(EACH)
            }
            for turn in range(count + _WARM_UP):
                chance.shuffle(order)
                for one in order:
                    took = _ask(connections[one]) * 1e3
                    if turn >= _WARM_UP:
                        times[one].append(took)
        spans = {kind: sum(_is_asked_for(kind, span) for span in sink.spans()) for kind, sink in sinks.items()}
    medians = {kind: [statistics.median(times[kind, number]) for number in range(EACH)] for kind in kinds}
    everything = {kind: sorted(took for number in range(EACH) for took in times[kind, number]) for kind in kinds}
    return medians, {kind: found[int(len(found) * 0.95)] for kind, found in everything.items()}, spans


@contextmanager
def serve(server: Server, env: Mapping[str, str], log: Path, *options: str) -> Generator[http.client.HTTPConnection]:
    """Run a server and yield a connection to it, once it answers. It is asked to end, and has 30 s for that."""
    port = _free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(port, *options), env=server.build.env({**env, **server.env}), cwd=server.build.cwd,
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        _wait(connection, process, log)
        yield connection
        connection.close()
        process.terminate()
        process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait(connection: http.client.HTTPConnection, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
            return
        except OSError:
            connection.close()
            time.sleep(0.005)
    raise RuntimeError(f"the service did not start; the end of what it said:\n{log.read_text()[-2000:]}")


def _ask(connection: http.client.HTTPConnection) -> float:
    body = json.dumps({"input": TEXT})
    began = time.perf_counter()
    connection.request("POST", "/v1/audio/speech", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    sound = answer.read()
    took = time.perf_counter() - began
    if answer.status != 200 or len(sound) < 1000:
        raise RuntimeError(f"the service answered {answer.status}")
    return took


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
