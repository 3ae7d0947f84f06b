# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The containers are the native servers: same versions, files, flags and variables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_tts.stack import places, servers
from otel_tts.stack.containers import CONTAINERS, Container
from otel_tts.stack.servers import Server

READ = {"otelcol": "otelcol.yaml", "tempo": "tempo.yaml", "loki": "loki.yaml"}
OPTIONAL = {"STACK_QUEUE_BYTES", "STACK_ARCHIVE_DAYS", "STACK_MEMORY_MIB"}
SERVERS = (*CONTAINERS, *(server for server in servers.SERVERS if server.image))
PORTS = {port.name: port.default for server in SERVERS for port in server.ports}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((places.configurations() / "compose.yaml").read_text(encoding="utf-8"))


def variables(file: str) -> dict[str, str]:
    """What a configuration reads from its environment, with the defaults; empty where it has none."""
    text = (places.configurations() / file).read_text(encoding="utf-8")
    return {name: default or "" for name, default in re.findall(r"\$\{(?:env:)?(STACK_\w+)(?::-([^}]*))?\}", text)}


def test_each_server_has_a_container_of_the_same_version(compose: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in compose["services"].items()}
    assert images == {server.name: server.image for server in SERVERS} | {"grafana": "grafana/grafana:13.2.0"}
    assert all(server.version in server.image for server in SERVERS)


def test_native_stores_have_no_container() -> None:
    assert {server.name for server in servers.SERVERS if not server.image} == {"jaeger", "victorialogs"}


@pytest.mark.parametrize("name", READ)
def test_containers_set_what_the_configurations_need(compose: dict[str, Any], name: str) -> None:
    given = compose["services"][name]["environment"]
    read = variables(READ[name])
    assert set(given) <= set(read), "set, but not read"
    # Inside a container loopback is nobody else's, so each address must be told; the ports are the defaults.
    assert {variable for variable in read if not variable.endswith("_PORT")} == set(given)
    assert given["STACK_BIND"] == "0.0.0.0"


def test_containers_name_each_other_with_the_port_they_listen_on(compose: dict[str, Any]) -> None:
    given = compose["services"]["otelcol"]["environment"]
    ports = PORTS
    assert given["STACK_TRACES"] == f"tempo:{ports['tempo_otlp']}"
    assert given["STACK_LOGS"] == f"http://loki:{ports['loki_http']}/otlp"
    assert given["STACK_PROMETHEUS"] == f"http://prometheus:{ports['prometheus']}"
    assert compose["services"]["grafana"]["environment"]["TEMPO_URL"] == f"http://tempo:{ports['tempo_http']}"


@pytest.mark.parametrize("file", [*READ.values(), "jaeger.yaml"])
def test_defaults_in_the_configurations_are_those_of_the_table(file: str) -> None:
    for variable, default in variables(file).items():
        if variable.endswith("_PORT"):
            name = variable.removeprefix("STACK_").removesuffix("_PORT").lower()
            assert int(default) == {**servers.DEFAULT_PORTS, **PORTS}[name]


def test_native_servers_are_given_every_variable() -> None:
    given = servers.environment(Path("/state"), servers.DEFAULT_PORTS)
    read = {variable for file in ("otelcol.yaml", "jaeger.yaml") for variable in variables(file)}
    assert read - OPTIONAL <= set(given)


@pytest.mark.parametrize("name", READ)
def test_containers_mount_the_same_configuration_file(compose: dict[str, Any], name: str) -> None:
    mounts = [mount.split(":") for mount in compose["services"][name]["volumes"]]
    source, target, mode = next(mount for mount in mounts if mount[0].startswith("./"))
    assert (places.configurations() / source).name == READ[name]
    assert mode == "ro"
    assert target in " ".join(compose["services"][name]["command"])


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_containers_have_the_flags_of_the_native_servers(compose: dict[str, Any], server: Server | Container) -> None:
    # Paths and the address differ; which flags there are, and every other value, does not.
    places_of = {"config.file", "config", "storage.path", "storage.tsdb.path", "web.listen-address"}

    def flags(command: list[str]) -> dict[str, str]:
        pairs = (part.lstrip("-").partition("=") for part in command)
        return {name: "" if name in places_of else value for name, _, value in pairs}

    assert flags(compose["services"][server.name]["command"]) == flags(list(server.arguments))


def test_nothing_is_published_to_the_network_unless_asked_for(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("${STACK_PUBLISH:-127.0.0.1}:") for port in published)


def test_every_volume_is_declared(compose: dict[str, Any]) -> None:
    used = {mount.split(":")[0] for service in compose["services"].values() for mount in service["volumes"]}
    assert {name for name in used if not name.startswith((".", "$"))} == set(compose["volumes"])
