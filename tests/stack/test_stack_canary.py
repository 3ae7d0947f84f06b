# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts doctor --canary` through the real Collector into real stores, and with each of them gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Backends

COMMAND = [sys.executable, "-m", "otel_tts.cli.main", "doctor", "--canary", "--json"]


def told(stack: Backends, within: str) -> tuple[int, dict[str, dict[str, Any]]]:
    stores = ("--traces", f"jaeger+{stack.jaeger}", "--logs", f"victorialogs+{stack.victorialogs}")
    done = subprocess.run(
        [*COMMAND, *stores, "--metrics", stack.prometheus, "--within", within],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_http},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_a_canary_is_found_in_each_store(stack: Backends) -> None:
    status, checks = told(stack, "60")
    assert status == 0, checks
    assert {name: check["status"] for name, check in checks.items() if name != "coverage"} == {
        "canary": "pass", "traces": "pass", "logs": "pass", "metrics": "pass", "trace of the caller": "pass",
    }  # fmt: skip
    for signal, url in (("traces", stack.jaeger), ("logs", stack.victorialogs), ("metrics", stack.prometheus)):
        assert url in checks[signal]["detail"]


@pytest.mark.parametrize(
    ("server", "signal"), [("jaeger", "traces"), ("victorialogs", "logs"), ("prometheus", "metrics")]
)
def test_a_store_that_is_gone_is_named_and_the_others_are_well(stack: Backends, server: str, signal: str) -> None:
    stack.stop(server)
    try:
        status, checks = told(stack, "20")  # the Collector looks every 10 s for a store that was started again
    finally:
        stack.start(server)
    assert status == 1
    others = {"traces", "logs", "metrics"} - {signal}
    assert {name for name in others if checks[name]["status"] != "pass"} == set(), checks
    assert checks[signal]["status"] == "fail" and "does not answer: Connection refused" in checks[signal]["detail"]
    assert checks[signal]["fix"].startswith("start the store")


def test_a_collector_that_is_gone_is_said_by_the_canarys_own_process(stack: Backends) -> None:
    stack.stop("otelcol")
    try:
        status, checks = told(stack, "0")
    finally:
        stack.start("otelcol")
    assert status == 1
    for signal in ("traces", "logs", "metrics"):
        assert checks[signal]["status"] == "fail" and "Connection refused" in checks[signal]["detail"]
        assert "the Collector's pipeline" in checks[signal]["fix"] or "Prometheus" in checks[signal]["fix"]
