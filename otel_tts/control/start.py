# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Opens the control socket of this process, where OTEL_TTS_CONTROL names a folder for it."""

from __future__ import annotations

import logging
from pathlib import Path

from otel_tts import marking
from otel_tts.control import folder as folders
from otel_tts.control.server import Server
from otel_tts.control.verbs import Verbs
from otel_tts.emit.emitter import Emitter
from otel_tts.emit.outcomes import Outcomes

_logger = logging.getLogger("otel_tts")

_server: Server | None = None


def start(emitter: Emitter, path: str) -> Server | None:
    """Open it and believe marked probes from now on; None where it cannot be: the log says why, the service runs."""
    global _server
    try:
        folder = folders.prepare(Path(path))
        token = folders.read_token(folder)
        _server = Server(folder, Verbs(emitter).all())
        marking.trust(token)
    except (folders.Refused, OSError) as error:
        _logger.warning("otel-tts: no control socket (OTEL_TTS_CONTROL): %s. The service is not affected", error)
        return None
    emitter.outcomes = Outcomes()
    return _server


def stop() -> None:
    """Close it, and believe no marks any more."""
    global _server
    if _server is not None:
        _server.close()
        _server = None
    marking.trust(None)
