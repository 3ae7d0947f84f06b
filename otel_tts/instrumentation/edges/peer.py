# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the client of a connection has gone, where its server does not say so.

A plain answer is written to a connection whose other end was closed long ago, and no error comes of it: the first
write succeeds. One look at the socket tells.
"""

from __future__ import annotations

import socket
from typing import Any, Final

_LOOK: Final = int(socket.MSG_PEEK | socket.MSG_DONTWAIT) if hasattr(socket, "MSG_DONTWAIT") else None
"""Numbers: flags of an enum are put together in Python, at the cost of the look itself."""


def has_left(connection: Any) -> bool:
    """Say whether the other end has closed `connection`: a socket, or None. False where that cannot be told."""
    if _LOOK is None or type(connection).__module__ != "socket" or connection.gettimeout():
        return False  # TLS hides what comes, others would wait
    try:
        return connection.recv(1, _LOOK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
