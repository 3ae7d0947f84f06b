# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""GET questions to a store over HTTP: bounded in time and size, and failing in words that name the store."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlencode, urlsplit, urlunsplit

from otel_tts.readers.model import Gap, Why

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of an answer that is read."""

TIMEOUT_S: Final = 60.0
"""Seconds for one question, from asking to the last byte of the answer."""

_PIECE: Final = 64 * 1024
_QUOTED: Final = 300
"""Characters of a store's own words that are repeated."""


class StoreError(Exception):
    """A store did not answer, or not what was asked: `why` as in `Gap`, and a sentence."""

    def __init__(self, why: Why, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.why: Why = why
        self.status = status

    @property
    def is_none_there(self) -> bool:
        """Whether the store knows the question and has no such thing; Go's servers say otherwise for unknown paths."""
        return self.status == 404 and "404 page not found" not in str(self)

    @property
    def gap(self) -> Gap:
        """This error as an answer tells it."""
        return Gap(self.why, str(self))


class TooLarge(StoreError):
    """The answer was larger than is read: ask for less."""

    def __init__(self, store: str) -> None:
        super().__init__("limit", f"{store} answers with more than {LARGEST} bytes")


class Client:
    """Asks one store.

    `url` is http or https, with a path where the store has one and with `user:password@` where it asks for them: they
    are sent, and never shown. `headers` are sent with each question. Redirects are not followed: the store is asked
    where it is said to be, and passwords go nowhere else. Raises ValueError for another kind of URL.
    """

    def __init__(self, name: str, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = _checked(url)
        host = parts.hostname or ""
        shown = f"[{host}]" if ":" in host else host
        shown += f":{parts.port}" if parts.port else ""
        self.url = urlunsplit((parts.scheme, shown, parts.path.rstrip("/"), "", ""))
        self.name = f"{name} at {self.url}"
        self._headers = {"Accept": "application/json", "User-Agent": "otel-tts", **(headers or {})}
        if parts.username is not None:
            said = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(said).decode()}"
        self._opener = opener(host)

    def json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The answer to a GET as JSON. Raises StoreError."""
        return self.parsed(self.text(path, params))

    def parsed(self, text: bytes) -> Any:
        """JSON of `text`. Raises StoreError."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise StoreError(
                "unreadable", f"{self.name} answers with something else than JSON: {_quote(text)}"
            ) from None

    def strange(self, error: Exception) -> StoreError:
        """What is raised where the answer is JSON, but not of the form that is known."""
        return StoreError("unreadable", f"{self.name} answers in a form that is not known ({type(error).__name__})")

    def text(self, path: str, params: Mapping[str, Any] | None = None) -> bytes:
        """The whole answer to a GET. Raises StoreError, TooLarge for more than is read."""
        return b"".join(self._pieces(path, params or {}))

    def _pieces(self, path: str, params: Mapping[str, Any]) -> Iterator[bytes]:
        known = {key: value for key, value in params.items() if value is not None}
        query = f"?{urlencode(known)}" if known else ""
        request = urllib.request.Request(self.url + path + query, headers=self._headers)
        until, size = time.monotonic() + TIMEOUT_S, 0
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                while piece := answer.read1(_PIECE):
                    size += len(piece)
                    if size > LARGEST:
                        raise TooLarge(self.name)
                    if time.monotonic() > until:
                        raise TimeoutError
                    yield piece
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StoreError("down", f"{self.name} does not answer: {_why(error)}") from None

    def _refused(self, error: urllib.error.HTTPError) -> StoreError:
        try:
            said = _quote(error.read(_PIECE))
        except (OSError, http.client.HTTPException):
            said = ""
        code = error.code
        if 300 <= code < 400:
            place = error.headers.get("Location", "somewhere else")
            return StoreError("refused", f"{self.name} sends on to {place[:_QUOTED]}: give that address instead", code)
        if code in (401, 403):
            return StoreError("refused", f"{self.name} asks for a login ({code})", code)
        if code == 429:
            return StoreError("down", f"{self.name} is asked too much (429): {said}", code)
        if code >= 500:
            return StoreError("down", f"{self.name} fails ({code}): {said}", code)
        return StoreError("refused", f"{self.name} does not take the question ({code}): {said}", code)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Headers may hold secrets, which no other address is told."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def opener(host: str) -> urllib.request.OpenerDirector:
    """Return what asks `host`: it follows no redirect, and goes to this machine by no proxy."""
    direct = urllib.request.ProxyHandler({}) if is_loopback(host) else urllib.request.ProxyHandler()
    return urllib.request.build_opener(direct, NoRedirect())


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError(f"{_without_password(url)} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_one:
        raise ValueError(f"{_without_password(url)} is no http:// or https:// URL of a store")
    if parts.query or parts.fragment:
        raise ValueError(f"{_without_password(url)}: a store's URL has no ? and no #")
    if any(letter <= " " or letter == "\x7f" for letter in url):
        raise ValueError("a store's URL has no blanks")
    return parts


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"…@{after}" if at and before else url


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: then no proxy is asked."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _quote(said: bytes) -> str:
    """A store's own words, on one line."""
    text = " ".join(said[: 4 * _QUOTED].decode("utf-8", "replace").split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:_QUOTED])
    return shown + ("…" if len(text) > _QUOTED else "") if shown else "(nothing)"


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"nothing came within {TIMEOUT_S:.0f} s"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return f"{type(reason).__name__}: {reason}"[:_QUOTED]
