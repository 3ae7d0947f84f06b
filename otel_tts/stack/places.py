# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the stack keeps things: built servers in the cache, data and logs in the state folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from otel_tts import bundled


def configurations() -> Path:
    """The folder with the servers' configurations and Go modules."""
    return bundled.find("collector")


def rules() -> str:
    """The glob of Prometheus's rule files. That nothing matches is allowed."""
    try:
        folder = bundled.find("dashboards")
    except FileNotFoundError:
        folder = configurations().parent / "dashboards"
    return str(folder / "alerts" / "*.yml")


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Where built servers are kept: OTEL_TTS_CACHE_DIR, else otel-tts in XDG_CACHE_HOME or ~/.cache."""
    own = environ.get("OTEL_TTS_CACHE_DIR")
    base = Path(own) if own else _xdg(environ, "XDG_CACHE_HOME", ".cache") / "otel-tts"
    return base.expanduser().absolute() / "servers"


def state(environ: Mapping[str, str] = os.environ) -> Path:
    """Where data, logs and process files are kept by default: otel-tts in XDG_STATE_HOME or ~/.local/state."""
    return (_xdg(environ, "XDG_STATE_HOME", ".local/state") / "otel-tts").absolute()


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    value = environ.get(variable, "")
    # The XDG specification says to ignore relative paths.
    return Path(value) if os.path.isabs(value) else Path.home() / default


def relay_token(folder: Path | None = None) -> Path:
    """The file of the token by which a relay knows the Alertmanager of the stack in a state folder."""
    return (folder or state()) / "relay.token"
