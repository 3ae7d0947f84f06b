# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The real backends for tests: one stack for the session, on free ports, in a temporary folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from otel_tts.stack import build, ports
from otel_tts.stack.errors import StackError
from otel_tts.stack.run import Stack

Found = TypeVar("Found")

HERE = Path(__file__).parent

NO_STORES = "Tempo and Loki are under the AGPL and no longer built here; their successors are not in yet"
ASK_STORES = {
    f"test_{name}" for name in ("dashboards", "demo_on_stack", "stack_durability", "stack_privacy", "stack_signals")
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.stack)
            if item.path.stem in ASK_STORES:
                item.add_marker(pytest.mark.skip(NO_STORES))


class Backends:
    """A running stack. Addresses are without a path, as in `http://127.0.0.1:4318`."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.state = stack.state
        self.otlp_http = stack.url("otlp_http")
        self.otlp_grpc = stack.url("otlp_grpc")
        self.prometheus = stack.url("prometheus")
        self.alertmanager = stack.url("alertmanager")
        self.stop = stack.stop
        self.start = stack.start
        self.kill = stack.kill

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        """A trace by its id in hexadecimal, as Tempo's JSON; None while Tempo has none."""
        raise NotImplementedError(NO_STORES)

    def search(self, traceql: str, limit: int = 1000) -> set[str]:
        """The ids of the traces of the last hour that a TraceQL query finds."""
        raise NotImplementedError(NO_STORES)

    def logs(self, logql: str, limit: int = 1000) -> list[tuple[dict[str, str], str]]:
        """Labels and line of each log record of the last hour that a LogQL query finds."""
        raise NotImplementedError(NO_STORES)

    def series(self, promql: str) -> list[dict[str, Any]]:
        """The result of a PromQL query for now."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": promql})
        return answer.raise_for_status().json()["data"]["result"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """The backends, ready. Who stops a server starts it again before the test ends."""
    _require_go()
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        try:
            stack.up(ports.free())
        except StackError as failure:
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
    except StackError as failure:
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
