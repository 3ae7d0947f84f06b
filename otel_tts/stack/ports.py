# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing ports: the defaults, those that the user names, or free ones for a test."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping

from otel_tts.stack import servers
from otel_tts.trouble import Trouble, WrongUse

# Below the range from which Linux and macOS give out ports for outgoing connections, so that a server that is stopped
# and started again finds its port untaken.
_FREE_RANGE = range(20000, 32000)


def parse(options: Iterable[str]) -> dict[str, int]:
    """Read `NAME=NUMBER` options. Raises WrongUse for a name that no server has or a number that is no port."""
    chosen: dict[str, int] = {}
    for option in options:
        name, _, number = option.partition("=")
        if name not in servers.PORTS:
            raise WrongUse(
                f"--port {option}: no server has a port named {name!r}; the names are {', '.join(servers.PORTS)}."
            )
        if not number.isdecimal() or not 0 < int(number) < 65536:
            raise WrongUse(f"--port {option}: write {name}=NUMBER with a number from 1 to 65535.")
        chosen[name] = int(number)
    return chosen


def defaults(chosen: Mapping[str, int] | None = None) -> dict[str, int]:
    """Every port by name: the chosen ones, the others by default. Raises WrongUse when two are the same."""
    ports = {**servers.DEFAULT_PORTS, **(chosen or {})}
    taken: dict[int, str] = {}
    for name, number in ports.items():
        if number in taken:
            raise WrongUse(
                f"The ports {taken[number]} and {name} are both {number}; give one of them another number with"
                f" --port {name}=NUMBER."
            )
        taken[number] = name
    return ports


def free() -> dict[str, int]:
    """A free port for each name."""
    candidates = iter(random.sample(_FREE_RANGE, k=2000))
    return {name: next(number for number in candidates if is_free(number)) for name in servers.PORTS}


def is_free(number: int) -> bool:
    """Whether nothing listens on this port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Go's listeners do: a connection that lingers from before is no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((servers.LOOPBACK, number))
        except OSError:
            return False
    return True


def require_free(ports: Mapping[str, int], names: Iterable[str]) -> None:
    """Raise Trouble that names each port of `names` that is in use, its server and the option that changes it."""
    busy = [name for name in names if not is_free(ports[name])]
    if not busy:
        return
    lines = [
        f"Port {ports[name]} is in use, but {servers.owner(name).title} needs it ({servers.PORTS[name].role}):"
        f" stop what listens there, or choose another with --port {name}=NUMBER."
        for name in busy
    ]
    raise Trouble("\n".join(lines))
