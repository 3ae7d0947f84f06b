# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts stack up`, `status` and `down` as a person runs them, against a second stack of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from otel_tts.stack import ports, servers

if TYPE_CHECKING:
    from conftest import Backends

SHOWN = {"COLUMNS": "160", "NO_COLOR": "1"}


def otel_tts(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_tts.cli.main", "stack", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, **SHOWN}, check=False
    )


def status(state: Path) -> dict[str, dict[str, Any]]:
    answer = json.loads(otel_tts("status", "--state", str(state), "--json").stdout)
    return {one["name"]: one for one in answer["servers"]}


def test_up_status_down(stack: Backends, tmp_path: Path) -> None:
    state = tmp_path / "my state"
    at = ["--state", str(state)]
    chosen = ports.free()
    options = [part for name, number in chosen.items() for part in ("--port", f"{name}={number}")]
    try:
        first = otel_tts("up", *at, *options)
        assert first.returncode == 0, first.stderr
        assert f"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{chosen['otlp_http']}" in first.stdout
        assert f"127.0.0.1:{chosen['prometheus']}" in first.stdout

        running = status(state)
        assert set(running) == set(servers.BY_NAME)
        assert all(one["running"] and one["ready"] for one in running.values())
        assert running["jaeger"]["version"] == servers.BY_NAME["jaeger"].version
        assert running["prometheus"]["addresses"]["prometheus"] == f"127.0.0.1:{chosen['prometheus']}"

        again = otel_tts("up", *at)
        assert again.returncode == 0, again.stderr
        assert "All servers run already" in again.stdout
        assert {name: one["pid"] for name, one in status(state).items()} == pids(running)

        moved = otel_tts("up", *at, "--port", "prometheus=1")
        assert moved.returncode == 2
        assert "runs with other ports" in moved.stderr

        # One is gone, another stack wants its neighbour's port: only the missing one is started.
        psutil.Process(running["alertmanager"]["pid"]).kill()
        assert otel_tts("status", *at).returncode == 1
        other = otel_tts("up", "--state", str(tmp_path / "other"), "--free-ports", "--port", "prometheus=1")
        assert other.returncode == 2
        third = otel_tts("up", *at)
        assert third.returncode == 0, third.stderr
        assert "Started Alertmanager." in third.stdout
    finally:
        stopped = otel_tts("down", *at)
    assert stopped.returncode == 0, stopped.stderr
    assert not any(psutil.pid_exists(pid) for pid in pids(running).values())
    assert not any(one["running"] for one in status(state).values())
    assert otel_tts("down", *at).returncode == 0
    assert all(one.ready for one in stack.stack.status()), "another stack was touched"


def pids(found: dict[str, dict[str, Any]]) -> dict[str, int]:
    return {name: one["pid"] for name, one in found.items()}


def test_a_port_of_a_running_stack_is_reported_with_its_server(stack: Backends, tmp_path: Path) -> None:
    taken = stack.stack.ports["prometheus"]
    refused = otel_tts("up", "--state", str(tmp_path / "second"), "--port", f"prometheus={taken}")
    assert refused.returncode == 1
    assert f"Port {taken} is in use, but Prometheus needs it" in refused.stderr
    assert "--port prometheus=NUMBER" in refused.stderr


def test_servers_do_not_listen_beyond_this_machine(stack: Backends) -> None:
    for one in stack.stack.status():
        assert one.pid is not None
        listening = [c.laddr for c in psutil.Process(one.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert listening
        assert {address.ip for address in listening} == {servers.LOOPBACK}
