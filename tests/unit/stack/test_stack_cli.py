# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of the stack, as far as it goes without servers: exit statuses and messages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_tts.cli.stack import stack as app
from otel_tts.stack import build, older, process, servers
from otel_tts.stack.run import Stack

runner = CliRunner()


@pytest.fixture
def no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("OTEL_TTS_CACHE_DIR", str(tmp_path / "cache"))


def test_status_of_a_stack_that_never_ran(tmp_path: Path) -> None:
    state = tmp_path / "state"
    result = runner.invoke(app, ["status", "--state", str(state), "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["state"] == str(state)
    assert [one["name"] for one in found["servers"]] == [server.name for server in servers.SERVERS]
    assert not any(one["running"] or one["ready"] or one["pid"] for one in found["servers"])
    assert not state.exists(), "asking must not create anything"


def test_status_as_a_table_names_the_ports(tmp_path: Path) -> None:
    result = runner.invoke(app, ["status", "--state", str(tmp_path)], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "not running" in result.stdout
    assert all(name in result.stdout for name in servers.PORTS)


def test_down_of_a_stack_that_never_ran(tmp_path: Path) -> None:
    result = runner.invoke(app, ["down", "--state", str(tmp_path / "state")])
    assert result.exit_code == 0
    assert "No server" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "nosuch=1"], "nosuch"),
        (["--port", "prometheus=99999"], "65535"),
        (["--port", "alertmanager=9090"], "9090"),
        (["--port", "prometheus=1", "--free-ports"], "exclude each other"),
        (["--webhook", "127.0.0.1:9099"], "is no URL"),
        (["--webhook", "http://h:port/"], "is no URL"),
    ],
)
def test_wrong_use_ends_with_2_and_an_explanation(tmp_path: Path, no_go: None, arguments: list[str], said: str) -> None:
    result = runner.invoke(app, ["up", "--state", str(tmp_path / "state"), *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_state_folder_that_is_a_file_is_wrong_use(tmp_path: Path, no_go: None) -> None:
    file = tmp_path / "file"
    file.touch()
    result = runner.invoke(app, ["up", "--free-ports", "--state", str(file)])
    assert result.exit_code == 2
    assert str(file) in result.stderr


def test_a_state_folder_that_cannot_be_made_is_wrong_use(no_go: None) -> None:
    result = runner.invoke(app, ["up", "--free-ports", "--state", "/proc/none/state"])
    assert (result.exit_code, "Traceback" in result.output) == (2, False)
    assert "/proc/none/state" in result.stderr


def test_a_disk_without_room_is_said(tmp_path: Path) -> None:
    """Files may have no byte more here, which fails at the same place with another errno."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); from otel_tts.cli.main import run; run()"
    )
    command = [sys.executable, "-c", program, "stack", "up", "--free-ports", "--state", str(tmp_path / "state")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    assert "cannot be written" in ended.stderr and "--state" in ended.stderr


@pytest.mark.parametrize("arguments", [["build"], ["up", "--free-ports"]])
def test_without_go_they_fail_with_1_and_say_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_go: None, arguments: list[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert "https://go.dev/dl/" in result.stderr
    assert "Traceback" not in result.output


def test_a_taken_port_is_said_before_twenty_minutes_of_building(tmp_path: Path, no_go: None) -> None:
    with socket.create_server((servers.LOOPBACK, 0)) as holder:
        option = f"prometheus={holder.getsockname()[1]}"
        result = runner.invoke(app, ["up", "--state", str(tmp_path / "state"), "--port", option])
    assert result.exit_code == 1
    assert "Prometheus" in result.stderr
    assert "go.dev" not in result.stderr


def test_a_server_that_ends_while_starting_is_named_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for server in servers.SERVERS:
        (folder / server.binary).write_text("#!/bin/sh\necho 'disk on fire'\nexit 3\n", encoding="utf-8")
        (folder / server.binary).chmod(0o755)
    monkeypatch.setattr(build, "binaries", lambda: {server.name: folder for server in servers.SERVERS})
    state = tmp_path / "state"
    result = runner.invoke(app, ["up", "--free-ports", "--state", str(state)])
    assert result.exit_code == 1
    assert "ended while starting" in result.stderr
    assert f"stack up --state {state}` again" in result.stderr and f"stack down --state {state}`" in result.stderr
    assert "disk on fire" in result.stderr
    assert str(state / "logs") in result.stderr
    assert runner.invoke(app, ["down", "--state", str(state)]).exit_code == 0
    assert not any(one.running for one in Stack(state).status())


def test_down_spares_a_process_that_only_has_the_number(tmp_path: Path) -> None:
    """The process file of a server that ended long ago, whose number is now that of this test."""
    stack = Stack(tmp_path)
    (tmp_path / "run").mkdir()
    process.save(
        tmp_path / "run" / "prometheus.json", process.Process(os.getpid(), 1.0, "/usr/bin/prometheus", "3.14.0")
    )
    assert stack.down() == []


def test_a_stack_of_an_earlier_version_is_stopped_and_its_data_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "tempo").mkdir()
    (tmp_path / "otelcol" / "queue").mkdir(parents=True)
    (tmp_path / "otelcol" / "queue" / "exporter_otlp_grpc_tempo_traces").touch()
    settings = {"ports": {"tempo_otlp": 4417, "otlp_http": 5318}, "webhook": "http://127.0.0.1:1/hook"}
    (tmp_path / "run" / "stack.json").write_text(json.dumps(settings), encoding="utf-8")
    sleeper = tmp_path / "tempo" / "tempo"
    shutil.copyfile(shutil.which("sleep") or "/bin/sleep", sleeper)
    sleeper.chmod(0o755)
    old = process.start([str(sleeper), "600"], dict(os.environ), tmp_path, tmp_path / "tempo.log", "2.9.0")
    process.save(tmp_path / "run" / "tempo.json", old)
    try:
        stack = Stack(tmp_path)
        assert stack.ports["otlp_http"] == 5318, "the ports that both versions have are kept"
        assert "tempo_otlp" not in stack.ports

        refused = runner.invoke(app, ["up", "--state", str(tmp_path)])
        assert refused.exit_code == 1
        assert "tempo" in refused.stderr
        assert "otel-tts stack down" in refused.stderr

        stopped = runner.invoke(app, ["down", "--state", str(tmp_path)])
        assert stopped.exit_code == 0
        assert "Stopped tempo" in stopped.stdout
        assert process.find(old) is None
    finally:
        process.end(old, signal.SIGKILL)
    assert not (tmp_path / "run" / "tempo.json").exists()
    assert older.leftovers(tmp_path) == [
        tmp_path / "tempo",
        tmp_path / "otelcol" / "queue" / "exporter_otlp_grpc_tempo_traces",
    ]


def test_what_an_earlier_version_left_is_named(tmp_path: Path, no_go: None) -> None:
    (tmp_path / "state" / "loki").mkdir(parents=True)
    result = runner.invoke(app, ["up", "--free-ports", "--state", str(tmp_path / "state")])
    assert f"Left alone, since no server here reads it any more: {tmp_path / 'state' / 'loki'}." in result.stdout
    assert (tmp_path / "state" / "loki").is_dir()
