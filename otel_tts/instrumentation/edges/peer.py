# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the client of a connection has gone, where its server does not say so.

A plain answer is written to a connection whose other end was closed long ago, and no error comes of it: the first
write succeeds. One look at the socket tells.
"""

from __future__ import annotations

import socket
from typing import Any


def has_left(connection: Any) -> bool:
    """Say whether the other end has closed `connection`: a socket, or None. False where that cannot be told."""
    if type(connection).__module__ != "socket" or connection.gettimeout():  # TLS hides what comes, others would wait
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
