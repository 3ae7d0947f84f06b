# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Since when a request is there: when its bytes came on the connection, not when the application got round to it.

An event loop that is busy with another request reads from no connection; the time that its clients wait is in no
span that begins when the application is called. The kernel knows when the connection's last bytes came (TCP_INFO).
It is asked at the request's first line: what comes later, of a body or of another request on the same connection, would
hide a part of the waiting, and never makes it longer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.names import WaitSource
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.recorder import current as current_recorder
from otel_tts.recording.server import ServerSpan

START_HEADER: Final = b"x-request-start"

_TCP_INFO: Final = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
_LAST_DATA_RECEIVED: Final = struct.Struct("=52xI")
"""`tcpi_last_data_recv` of Linux's `struct tcp_info`: ms since the last bytes came, counted in ticks of the kernel."""
_LAST_SIZE: Final = _LAST_DATA_RECEIVED.size
_TCP: Final = int(socket.IPPROTO_TCP)
_COARSE_CLOCK: Final = 6
"""CLOCK_MONOTONIC_COARSE of Linux, whose resolution is the kernel's tick; Python has no name for it."""
_SHOWN_FROM_S: Final = 0.05
_MOST_HOPS: Final = 4
_LONGEST_AGE_NS: Final = 3600_000_000_000
"""A proxy's clock that is further off is not believed."""
_UNITS: Final = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (0, 1_000_000_000))
"""How large a time of day is in ns, µs, ms, s, and the ns of each."""


class Arrival(NamedTuple):
    """When a request came (perf_counter_ns), and which of `otel_tts.names.WaitSource` says so.

    `wait_s` is the time from then to the application, None where nobody knows. `upper_bound_s`: in its place the
    longest that the request may have waited for a loop that was late; None for one that was on time.
    """

    ns: int
    source: str
    wait_s: float | None = None
    upper_bound_s: float | None = None

    def facts(self) -> dict[str, Any]:
        """Return it as attributes, for the request's first synthesis and its SERVER span; none where it is unknown."""
        if self.wait_s is not None:
            return {names.WAIT: self.wait_s, names.WAIT_SOURCE: self.source}
        if self.upper_bound_s is not None:
            return {names.WAIT_UPPER_BOUND: self.upper_bound_s, names.WAIT_SOURCE: self.source}
        return {}


def arrived(scope: Mapping[str, Any], receive: Any, send: Any) -> Arrival:
    """Return when the request of an ASGI scope came; `receive` and `send` are as the server gave them.

    To be called on the first line of the request's handling, on its event loop. Never raises.
    """
    return _arrived(_age_by_kernel, (scope, receive, send), _age_by_proxy, (scope,))


def arrived_on(connection: Any, start: str | None) -> Arrival:
    """Return when a request with this X-Request-Start came on a socket, or None; see `arrived`."""
    by_kernel, by_proxy = _kernel.age if connection is not None else None, _age_said if start is not None else None
    return _arrived(by_kernel, (connection,), by_proxy, (start,))


def _arrived(
    by_kernel: Callable[..., int | None] | None,
    of_connection: tuple[Any, ...],
    by_proxy: Callable[..., int | None] | None,
    of_headers: tuple[Any, ...],
) -> Arrival:
    now, recorder = perf_counter_ns(), current_recorder()
    lag = None
    if recorder is not None and (loop := asyncio._get_running_loop()) is not None:
        lag = contain("arrival", _note_loop, recorder, loop, now)
    age = contain("arrival", by_kernel, *of_connection) if by_kernel is not None else None
    if age is not None:
        return Arrival(now - age, WaitSource.KERNEL, age / 1e9)
    if by_proxy is not None and recorder is not None and recorder.settings.trust_proxy:
        age = contain("arrival", by_proxy, *of_headers)
        if age is not None:
            return Arrival(now - age, WaitSource.PROXY, age / 1e9)
    return Arrival(now, WaitSource.LOOP, upper_bound_s=None if lag is None else lag / 1e9)


def socket_of(transport: Any) -> Any:
    """Return the socket of a transport of asyncio, which may be gone."""
    return transport.get_extra_info("socket") if transport is not None else None


def show_wait(recorder: Recorder, server: ServerSpan) -> None:
    """A request is over whose SERVER span begins with its arrival: waiting that one would look for is a span inside."""
    wait_s = server.attrs.get(names.WAIT, 0.0)
    if wait_s < _SHOWN_FROM_S:
        return
    facts = {name: server.attrs[name] for name in (names.WAIT_SOURCE, names.REQUEST_ID) if name in server.attrs}
    span = recorder.span(names.SPAN_WAIT, server.inside, server.t0, server.epoch_offset_ns, facts)
    span.t1 = server.t0 + int(wait_s * 1e9)
    recorder.finish(span)


def _note_loop(recorder: Any, loop: Any, now: int) -> int | None:
    """Let the loop be watched; return the ns for which it may have kept the request waiting."""
    watched = recorder.loops.note(loop)
    return watched.lag_before_ns(now) if watched is not None else None


# --- the kernel -------------------------------------------------------------------------------------------------------


class _Kernel:
    """What this machine's kernel counts. Some (sandboxes in user space) know the option and leave its fields 0."""

    def __init__(self) -> None:
        self.counts = False
        try:
            self.least_ns = 2 * int(time.clock_getres(_COARSE_CLOCK) * 1e9)
        except (OSError, AttributeError):
            self.least_ns = 20_000_000

    def age(self, connection: Any) -> int | None:
        """Return the ns since the last bytes came on a TCP socket; None where the kernel does not say."""
        if _TCP_INFO is None:
            return None
        try:
            info = connection.getsockopt(_TCP, _TCP_INFO, _LAST_SIZE)
        except OSError:  # a socket of another kind, or closed
            return None
        if len(info) < _LAST_SIZE:
            return None
        milliseconds: int = _LAST_DATA_RECEIVED.unpack(info)[0]
        self.counts = self.counts or milliseconds > 0
        if not self.counts:
            return None
        age = milliseconds * 1_000_000
        return age if age > self.least_ns else 0  # a tick is no waiting


_kernel: Final = _Kernel()


def _age_by_kernel(scope: Mapping[str, Any], receive: Any, send: Any) -> int | None:
    if scope.get("http_version", "1.1") not in ("1.0", "1.1"):  # many requests share that connection
        return None
    transport = _transport_of(receive, send)
    connection = transport.get_extra_info("socket") if transport is not None else None
    return _kernel.age(connection) if connection is not None else None


def _transport_of(receive: Any, send: Any) -> Any:
    """Find the connection behind what a server gives to its applications.

    uvicorn: `receive` is a method of what has the transport. gunicorn: of what has the protocol, which has it.
    hypercorn: `send` is a method of a stream, whose own `send` is its protocol's, whose own is the connection's.
    """
    if (owner := getattr(receive, "__self__", None)) is not None:
        for each in (owner, getattr(owner, "protocol", None)):
            if (found := getattr(each, "transport", None)) is not None:
                return found
    for _ in range(_MOST_HOPS):
        if (owner := getattr(send, "__self__", None)) is None:
            return None
        if (found := getattr(owner, "writer", None)) is not None:
            return found
        send = getattr(owner, "send", None)
    return None


# --- a proxy ----------------------------------------------------------------------------------------------------------


def _age_by_proxy(scope: Mapping[str, Any]) -> int | None:
    given = next((value for name, value in scope.get("headers", ()) if name == START_HEADER), None)
    return _age_since(given) if given is not None else None


def _age_said(given: str) -> int | None:
    return _age_since(given.encode("latin-1"))


def _age_since(given: bytes) -> int | None:
    age = time.time_ns() - time_of(given)
    return age if 0 <= age <= _LONGEST_AGE_NS else None


def time_of(value: bytes) -> int:
    """Return the time of day in ns that an X-Request-Start has: ``t=1700000000.123`` or a number of s, ms, µs or ns.

    Raises ValueError for anything else.
    """
    text = value.decode("latin-1").strip().removeprefix("t=")
    whole, dot, part = text.partition(".")
    if not (whole.isdecimal() and whole.isascii() and len(whole) <= 20 and len(part) <= 20):
        raise ValueError("no time of day")
    unit = next(ns for least, ns in _UNITS if int(whole) >= least)
    return int(whole) * unit + (int(float(f"0.{part}") * unit) if dot else 0)
