# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Ports: what the user may say, and what is said when one is taken."""

from __future__ import annotations

import socket

import pytest

from otel_tts.stack import ports, servers
from otel_tts.trouble import Trouble, WrongUse


def test_options_are_read() -> None:
    assert ports.parse(["otlp_http=5318", "prometheus=1"]) == {"otlp_http": 5318, "prometheus": 1}


@pytest.mark.parametrize("option", ["otlp_http", "otlp_http=", "otlp_http=x", "otlp_http=0", "otlp_http=65536", "x=1"])
def test_wrong_options_are_refused_with_the_option_in_the_message(option: str) -> None:
    with pytest.raises(WrongUse, match=f"--port {option}"):
        ports.parse([option])


def test_no_two_ports_are_the_same() -> None:
    assert len(set(ports.defaults().values())) == len(servers.PORTS)
    with pytest.raises(WrongUse, match="alertmanager and prometheus"):
        ports.defaults({"prometheus": servers.DEFAULT_PORTS["alertmanager"]})


def test_free_ports_are_distinct_and_can_be_bound() -> None:
    free = ports.free()
    assert set(free) == set(servers.PORTS)
    assert len(set(free.values())) == len(free)
    assert all(ports.is_free(number) for number in free.values())


def test_a_taken_port_is_reported_with_its_server_and_the_option_that_changes_it() -> None:
    with socket.create_server((servers.LOOPBACK, 0)) as holder:
        taken = holder.getsockname()[1]
        chosen = ports.defaults({"prometheus": taken})
        with pytest.raises(Trouble) as failure:
            ports.require_free(chosen, ["prometheus"])
        ports.require_free(chosen, [])
    message = str(failure.value)
    assert str(taken) in message
    assert "Prometheus" in message
    assert "--port prometheus=" in message
    ports.require_free(chosen, ["prometheus"])
