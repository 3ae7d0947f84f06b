# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Asks the service over HTTP: bounded in time and size, no redirects, and no proxy on the way to this machine."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from otel_tts.readers.http import opener

LARGEST: Final = 50_000_000
"""Bytes of an answer that are read."""
_PIECE: Final = 65_536


@dataclass(frozen=True)
class Answer:
    """What came back, and the seconds it took. `status` None: nothing did, and `reason` says why in our words."""

    seconds: float
    status: int | None = None
    media_type: str = ""
    body: bytes = b""
    reason: str = ""


def ask(
    url: str, timeout_s: float, *, method: str = "GET", headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:  # fmt: skip
    """Ask once. Never raises for what a server does."""
    began = time.monotonic()
    try:
        request = urllib.request.Request(url, body, {"User-Agent": "otel-tts", **(headers or {})}, method=method)
        with opener(urlsplit(url).hostname or "").open(request, timeout=timeout_s) as answer:
            return _read(answer, answer.status, began, timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(time.monotonic() - began, error.code)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(time.monotonic() - began, reason=_why(error, timeout_s))


def _read(answer: Any, status: int, began: float, timeout_s: float) -> Answer:
    body = bytearray()
    while piece := answer.read1(_PIECE):
        body += piece
        if time.monotonic() - began > timeout_s:  # a server that drips
            raise TimeoutError
        if len(body) > LARGEST:
            raise ValueError("too large")
    return Answer(time.monotonic() - began, status, answer.headers.get("Content-Type", ""), bytes(body))


def _why(error: Exception, timeout_s: float) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(reason, ConnectionRefusedError):
        return "nobody listens there"
    return f"no answer ({type(reason).__name__})"
