# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The real backends for tests: one stack for the session, on free ports, in a temporary folder."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from otel_tts.stack import build, ports
from otel_tts.stack.run import Stack
from otel_tts.trouble import Trouble

Found = TypeVar("Found")

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.stack)


class Backends:
    """A running stack. Addresses are without a path, as in `http://127.0.0.1:4318`."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.state = stack.state
        self.otlp_http = stack.url("otlp_http")
        self.otlp_grpc = stack.url("otlp_grpc")
        self.jaeger = stack.url("jaeger_http")
        self.victorialogs = stack.url("victorialogs")
        self.prometheus = stack.url("prometheus")
        self.alertmanager = stack.url("alertmanager")
        # By the servers' names: otelcol, jaeger, victorialogs, prometheus, alertmanager.
        self.stop = stack.stop
        self.start = stack.start
        self.kill = stack.kill

    def trace(self, trace_id: str) -> list[dict[str, Any]] | None:
        """The spans of a trace as OTLP JSON, each with its `resource` beside; None while Jaeger has none."""
        answer = httpx.get(f"{self.jaeger}/api/v3/traces/{trace_id}")
        if answer.status_code == 404:
            return None
        found = answer.raise_for_status().json()["result"]["resourceSpans"]
        return [
            {**span, "resource": one["resource"]}
            for one in found
            for scope in one["scopeSpans"]
            for span in scope["spans"]
        ]

    def search(self, service: str, limit: int = 1000, **tags: str) -> set[str]:
        """The ids of the traces of the last hour with a span of the service, and with attributes of these values."""
        now = time.time_ns() // 1000
        query = {"service": service, "limit": limit, "start": now - 3600 * 10**6, "end": now + 60 * 10**6}
        if tags:
            query["tags"] = json.dumps({name.replace("__", "."): value for name, value in tags.items()})
        answer = httpx.get(f"{self.jaeger}/api/traces", params=query, timeout=30)
        return {found["traceID"].zfill(32) for found in answer.raise_for_status().json()["data"] or []}

    def logs(self, logsql: str, limit: int = 5000) -> list[dict[str, str]]:
        """The log records of the last hour that a LogsQL query finds; `_msg` is the line."""
        start = f"{time.time() - 3600:.3f}"
        query = {"query": logsql, "limit": limit, "start": start}
        answer = httpx.get(f"{self.victorialogs}/select/logsql/query", params=query, timeout=30)
        return [json.loads(line) for line in answer.raise_for_status().text.splitlines()]

    def series(self, promql: str) -> list[dict[str, Any]]:
        """The result of a PromQL query for now."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": promql})
        return answer.raise_for_status().json()["data"]["result"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """The backends, ready. Who stops a server starts it again before the test ends."""
    with _running(tmp_path_factory.mktemp("stack")) as found:
        yield found


@pytest.fixture
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """Backends of this test alone: what they refuse shows on no board of the others."""
    with _running(tmp_path_factory.mktemp("own-stack")) as found:
        yield found


@contextlib.contextmanager
def _running(state: Path) -> Iterator[Backends]:
    _require_go()
    stack = Stack(state)
    try:
        try:
            stack.up(ports.free())
        except Trouble as failure:
            pytest.fail(str(failure), pytrace=False)
        yield Backends(stack)
    finally:
        stack.down()


def _require_go() -> None:
    """Skip where the servers are not built and cannot be; with CI=true that is a failure."""
    if not build.missing():
        return
    try:
        build.find_go()
    except Trouble as failure:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{failure}\nWith CI=true this is a failure.", pytrace=False)
        pytest.skip(str(failure))


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`eventually(ask)` asks until the answer is true, and returns it; fails with the last answer after a minute."""

    def wait(ask: Callable[[], Found], seconds: float = 60.0) -> Found:
        patience = time.monotonic() + seconds
        while True:
            try:
                answer = ask()
            except httpx.HTTPError as failure:
                if time.monotonic() > patience:
                    raise
                answer = failure
            if answer and not isinstance(answer, httpx.HTTPError):
                return answer
            if time.monotonic() > patience:
                pytest.fail(f"still {answer!r} after {seconds:.0f} s", pytrace=True)
            time.sleep(0.3)

    return wait
