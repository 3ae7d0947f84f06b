# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The OTEL_EXPORTER_OTLP_* variables of one signal, as the specification has them.

Read when an exporter is made, not with its first batch: by then a distribution has taken back what it had lent.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from otel_tts.version import __version__

_logger = logging.getLogger("otel_tts.export")

_DEFAULT: Final = "http://localhost:4318"
_COMPRESSIONS: Final = ("none", "gzip", "deflate")
_TIMEOUT_S: Final = 10.0
_LONGEST_TIMEOUT_S: Final = 86_400.0
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BLANK: Final = re.compile(r"[\x00-\x20\x7f]")
_OURS: Final = frozenset(("content-type", "content-encoding", "content-length", "transfer-encoding", "connection"))


@dataclass(frozen=True)
class Target:
    """Where to, and how. `repr` shows neither headers nor the URL, which may hold a password."""

    url: str = field(repr=False)
    headers: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    timeout: float = _TIMEOUT_S
    """Seconds for a batch, all tries together."""
    compression: str = "none"
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None

    @property
    def place(self) -> str:
        """The URL without user, password and query."""
        url = urlsplit(self.url)
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        return f"{url.scheme}://{host}{f':{url.port}' if url.port else ''}{url.path}"


def read(signal: str, environ: Mapping[str, str] | None = None) -> Target:
    """Return the target of ``traces``, ``metrics`` or ``logs``.

    Raises ValueError for an endpoint or a header that cannot be sent to or with; the message never quotes them.
    """
    environ = os.environ if environ is None else environ
    compression_from, compression = _one(environ, signal, "COMPRESSION")
    compression = compression.lower() or "none"
    if compression not in _COMPRESSIONS:
        _logger.warning("otel-tts: %s is none of %s; none is used", compression_from, ", ".join(_COMPRESSIONS))
        compression = "none"
    certificate, client_certificate, client_key = (
        _file(*_one(environ, signal, name)) for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
    )
    return Target(
        url=_url(environ, signal),
        headers={
            "user-agent": f"otel-tts/{__version__}".encode(),
            **_headers(*_one(environ, signal, "HEADERS")),
            "content-type": b"application/x-protobuf",
        },
        timeout=_timeout(*_one(environ, signal, "TIMEOUT")),
        compression=compression,
        certificate=certificate,
        client_certificate=client_certificate,
        client_key=client_key,
    )


def _one(environ: Mapping[str, str], signal: str, what: str) -> tuple[str, str]:
    """Return the variable that counts, and its value: the signal's own, or else the one for all."""
    own, general = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", f"OTEL_EXPORTER_OTLP_{what}"
    variable = own if environ.get(own, "").strip() else general
    return variable, environ.get(variable, "").strip()


def _url(environ: Mapping[str, str], signal: str) -> str:
    variable, given = _one(environ, signal, "ENDPOINT")
    url = given or _DEFAULT
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not _BLANK.search(url)
        url.encode("ascii")
    except ValueError:  # a port that is none, brackets without an address, letters that a URL has to encode
        fine = False
    if not fine:
        raise ValueError(f"{variable} is no URL of the form http://host:port or https://host:port")
    return url if f"_{signal.upper()}_" in variable else f"{url.removesuffix('/')}/v1/{signal}"


def _headers(variable: str, given: str) -> dict[str, bytes]:
    """Read ``key=value,key2=value2``, values percent-encoded."""
    found: dict[str, bytes] = {}
    for pair in filter(None, (part.strip() for part in given.split(","))):
        key, equals, value = pair.partition("=")
        name, value = unquote(key).strip(" \t").lower(), unquote(value.strip()).strip(" \t")
        if not equals or not _NAME.match(name):
            _logger.warning("otel-tts: %s holds what is no header of the form name=value; it is left out", variable)
            continue
        if _CONTROL.search(value):
            raise ValueError(f"{variable} holds a header with a control character, such as a line break, in its value")
        if name in _OURS:
            _logger.warning("otel-tts: the header %s of %s is the exporter's own, and left out", name, variable)
            continue
        found[name] = value.encode("utf-8", "surrogateescape")
    return found


def _timeout(variable: str, given: str) -> float:
    try:
        seconds = float(given) if given else _TIMEOUT_S
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        _logger.warning("otel-tts: %s is no number of seconds above 0; %g are used", variable, _TIMEOUT_S)
        return _TIMEOUT_S
    return min(seconds, _LONGEST_TIMEOUT_S)


def _file(variable: str, given: str) -> str | None:
    """Say at start what would otherwise be said with the first batch; it may still be put there."""
    if given and not os.access(given, os.R_OK):
        _logger.warning("otel-tts: %s=%s cannot be read; until it can, nothing is sent", variable, given)
    return given or None
