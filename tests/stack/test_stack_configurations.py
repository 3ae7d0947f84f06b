# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Each server's own checker accepts its configuration, as run natively and as run in a container."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from otel_tts.stack import build, places, servers
from otel_tts.stack.servers import Server

if TYPE_CHECKING:
    from conftest import Backends

CHECKED = [server for server in servers.SERVERS if server.check]


def check(command: list[str], environment: Mapping[str, str]) -> str:
    result = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=120, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


@pytest.mark.parametrize("server", CHECKED, ids=lambda server: server.name)
def test_native(stack: Backends, server: Server) -> None:
    assert check(stack.stack.check(server.name), stack.stack.environment()) == ""


@pytest.mark.parametrize("server", [server for server in CHECKED if server.image], ids=lambda server: server.name)
def test_in_a_container(stack: Backends, server: Server) -> None:
    compose = yaml.safe_load((places.configurations() / "compose.yaml").read_text(encoding="utf-8"))
    given = compose["services"][server.name].get("environment", {})
    given = {name: re.sub(r"\$\{\w+:-(\w+)\}", r"\1", value) for name, value in given.items()}
    folder = build.binaries()[server.name]
    tool, *arguments = servers.command(
        server.check,
        Path("/state"),
        places.configurations() / "compose",
        places.configurations(),
        servers.DEFAULT_PORTS,
    )
    assert check([str(folder / tool), *arguments], {"PATH": os.environ["PATH"], **given}) == ""


def test_only_a_server_without_a_file_goes_unchecked() -> None:
    assert [server.name for server in servers.SERVERS if server not in CHECKED] == ["victorialogs"]


def test_a_broken_configuration_is_not_accepted(stack: Backends, tmp_path: Path) -> None:
    """So that the checks above mean something."""
    original = (places.configurations() / "otelcol.yaml").read_text(encoding="utf-8")
    broken = tmp_path / "otelcol.yaml"
    broken.write_text(
        original.replace("exporters: [otlp_grpc/traces]", "exporters: [otlp_grpc/nowhere]"), encoding="utf-8"
    )
    binary = build.binaries()["otelcol"] / "otelcol-tts"
    assert "nowhere" in check([str(binary), "validate", f"--config={broken}"], stack.stack.environment())
