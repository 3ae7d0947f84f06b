# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Opens HTTP/1.1 connections to a target: straight or through a proxy, plain or over TLS, and every wait has an end."""

from __future__ import annotations

import http.client
import io
import ipaddress
import os
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment
from urllib.request import (
    proxy_bypass_environment as _bypass,  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
)

from otel_tts.export.endpoint_settings import Target

try:
    import certifi
except ImportError:
    certifi = None

_PIECE: Final = 1 << 16
_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""What the SDK's own exporter looks at, too."""


class ProxyError(OSError):
    """A proxy cannot be reached, or does not let us through."""


class Connection:
    """A connection and how requests are made on it. Of one process and, at a time, one thread."""

    def __init__(self, target: Target, trust: Trust) -> None:
        """Raises ValueError for a proxy that cannot be used, OSError for a certificate. Connects with `post`."""
        url = urlsplit(target.url)
        host, secure = url.hostname or "", url.scheme == "https"
        at = (host, url.port or (443 if secure else 80))
        proxy = self._proxy = _proxy(url.scheme, *at)
        there = at if proxy is None else (proxy.hostname or "", proxy.port or 80)
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._headers = dict(target.headers)
        if url.username is not None:
            self._headers.setdefault("authorization", _basic(url))
        if secure:
            self._http: Any = http.client.HTTPSConnection(*there, context=trust.context())
        else:
            self._http = http.client.HTTPConnection(*there)
        self._http.response_class = partial(_Answer, self._left)
        self._deadline = 0.0
        if proxy is not None:
            login = {} if proxy.username is None else {"proxy-authorization": _basic(proxy)}
            if secure:
                self._http.set_tunnel(*at, headers={name: value.decode() for name, value in login.items()})
            else:
                name = f"[{host}]" if ":" in host else host
                self._path = f"http://{name}:{at[1]}{self._path}"
                self._headers |= login

    def post(self, body: bytes, coding: str, deadline: float) -> http.client.HTTPResponse:
        """Send and return the answer's head. Raises OSError or HTTPException; TimeoutError at the `deadline`."""
        self._deadline = deadline
        connection = self._http
        connection.timeout = self._left()
        if connection.sock is None:
            self._connect()
        headers = self._headers | {"content-length": str(len(body)).encode()}
        if coding != "none":
            headers["content-encoding"] = coding.encode()
        connection.request("POST", self._path, self._pieces(body), headers)
        return connection.getresponse()

    def _connect(self) -> None:
        try:
            self._http.connect()
        except ssl.SSLError:
            raise
        except OSError as error:
            if self._proxy is None:
                raise
            raise ProxyError(
                f"the proxy: {f'[Errno {error.errno}] ' if error.errno else ''}{error.strerror or error}"
            ) from error

    def _pieces(self, body: bytes) -> Iterator[bytes]:
        """Hand out the body piece by piece: a reader that takes a byte a second is waited for no longer either."""
        for at in range(0, len(body), _PIECE):
            self._http.sock.settimeout(self._left())
            yield body[at : at + _PIECE]

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def close(self) -> None:
        """Close the socket; the next request opens another one."""
        self._http.close()


class _Answer(http.client.HTTPResponse):
    """An answer each of whose bytes is waited for until the same moment."""

    def __init__(self, left: Callable[[], float], sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        fp: Any = self.fp
        self.fp = io.BufferedReader(_Until(left, sock, fp.detach()))


class _Until(io.RawIOBase):
    """What a socket receives, for as long as there is time left."""

    def __init__(self, left: Callable[[], float], sock: socket.socket, raw: io.RawIOBase) -> None:
        self._left, self._sock, self._raw = left, sock, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(self._left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _proxy(scheme: str, host: str, port: int) -> SplitResult | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name. Raises ValueError for a wrong one."""
    proxies = getproxies_environment()
    named = proxies.get(scheme) or proxies.get("all")
    if not named or _bypass(f"{host}:{port}", proxies) or _in_networks(host, proxies.get("no", "")):
        return None
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    if proxy.scheme != "http" or not proxy.hostname or proxy.port == 0:
        raise ValueError(
            f"of proxies only http://host:port is supported, {scheme.upper()}_PROXY or ALL_PROXY names another; "
            "set NO_PROXY for the collector's host"
        )
    return proxy


def _in_networks(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY names a network (10.0.0.0/8) that an address is in, as requests reads it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for name in filter(None, (part.strip() for part in no_proxy.split(","))):
        try:
            if "/" in name and address in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            continue
    return False


def _basic(url: SplitResult) -> bytes:
    login = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return b"Basic " + b64encode(login.encode())


class Trust:
    """Whom to trust and who we are, read anew when one of the files changes: certificates are renewed in place."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._read: tuple[tuple[float, ...], ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """Return what verifies certificates and host names. Raises OSError where a file cannot be read."""
        files = [f for f in (self._authorities(), self._target.client_certificate, self._target.client_key) if f]
        changed = tuple(os.stat(file).st_mtime for file in files)
        if self._read is None or self._read[0] != changed:
            self._read = changed, self._make()
        return self._read[1]

    def _authorities(self) -> str | None:
        return self._target.certificate or next(filter(None, map(os.environ.get, _BUNDLES)), None)

    def _make(self) -> ssl.SSLContext:
        if authorities := self._authorities():
            is_folder = os.path.isdir(authorities)
            context = ssl.create_default_context(
                cafile=None if is_folder else authorities, capath=authorities if is_folder else None
            )
        else:
            context = ssl.create_default_context()
            if certifi is not None:  # what requests trusts; the system's own are trusted either way
                context.load_verify_locations(certifi.where())
        if self._target.client_certificate:
            # A key with a passphrase would be asked for on the terminal, by a thread that nobody sees.
            context.load_cert_chain(self._target.client_certificate, self._target.client_key, _no_passphrase)
        return context


def _no_passphrase() -> str:
    raise ValueError("the client's key has a passphrase; it is not supported")
