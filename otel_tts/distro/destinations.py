# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether telemetry would arrive: each exporter is built as the SDK would build it, and speaks.

An OTLP exporter sends an empty request of its signal, by its protocol, with its headers, through its proxies, to its
URL. What comes back is put into words: what is wrong, and what to change.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from otel_tts import variables
from otel_tts.commands import pip
from otel_tts.distro import defaults, outages, without_server
from otel_tts.otel_private import exporters, setup
from otel_tts.otel_private.exporters import Said
from otel_tts.otel_private.pipeline import SIGNALS

_BASE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "grpc_proxy")
_MASKED: Final = re.compile(r"(?<=://)[^/@\s]+@")
_NO_HTTP: Final = ("BadStatusLine", "RemoteDisconnected", "Connection reset", "Connection aborted")
_NO_GRPC: Final = ("Expected SETTINGS frame", "http1", "HTTP/2", "Socket closed", "recvmsg", "Connection reset")
_SILENT: Final = "does not answer in time; is it an OTLP receiver? does a firewall take the packets?"


@dataclass(frozen=True)
class Finding:
    """How it is with one exporter of one signal; `detail` says what to know or to do."""

    signal: str
    exporter: str
    works: bool
    detail: str
    asked_for: bool = True
    """False for OTLP to the default address that nobody named."""


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each exporter that a process with `environ` would have. Takes some seconds at most."""
    given = dict(environ)
    with variables.set_aside(given):  # as a process would, which says so
        whole = {**given, **defaults.wanted(given)}
    with _as_environment(whole):
        for signal in SIGNALS:
            for name in without_server.named(whole, signal):
                if name != "none":
                    yield _try(signal, name, whole)


def _try(signal: str, name: str, environ: Mapping[str, str]) -> Finding:
    asked_for = not name.startswith("otlp") or bool(_endpoint(environ, signal)[1])
    try:
        works, detail = _examine(signal, name, environ)
    except Exception as error:
        works, detail = False, _masked(_first_line(f"the exporter {name} cannot be made: {_explain(error, name)}"))
    return Finding(signal, name, works, detail, asked_for)


def _examine(signal: str, name: str, environ: Mapping[str, str]) -> tuple[bool, str]:
    variable, endpoint = _endpoint(environ, signal)
    if name.startswith("otlp") and (wrong := _wrong_address(variable, endpoint, _protocol(environ, signal))):
        return False, wrong
    exporter: Any = setup.load_exporter(signal, name)()
    try:
        if (folder := exporters.folder_of(exporter)) is not None:
            folder.try_to_write()
            return True, f"{folder.path} can be written to"
        if (said := exporters.speak(exporter)) is None:
            return True, f"{name} can be made"
        spoken = f"{said.protocol} {_masked(said.address.removesuffix(f'/v1/{signal}'))}"
        wrong = _over_grpc(said, endpoint) if said.protocol == "grpc" else _over_http(said, variable, endpoint, signal)
        return (False, f"{spoken}: {wrong}") if wrong else (True, f"{spoken} takes OTLP")
    finally:
        with contextlib.suppress(Exception):
            exporter.shutdown()


# --- what comes back, in words ---------------------------------------------------------------------------------------


def _wrong_address(variable: str, endpoint: str, protocol: str) -> str:
    """What is wrong with an address whatever answers there."""
    if not endpoint:
        return ""
    shown = _masked(endpoint)
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        _ = parts.port
    except ValueError:
        return f"{variable}={shown} is not a URL with a port from 0 to 65535"
    if protocol == "grpc":  # which needs no scheme, and takes no path
        return ""
    if "://" not in endpoint:
        return f"{variable}={shown} has no scheme; write http://{shown}"
    if parts.scheme not in ("http", "https"):
        return f"{variable}={shown} is not a URL that begins with http:// or https://"
    if variable == _BASE and (found := re.search(r"/v1/(traces|metrics|logs)/*$", parts.path)):
        return f"{variable} is the base URL, to which each signal adds its own /v1/…; take {found[0]} off its end"
    return ""


def _over_http(said: Said, variable: str, endpoint: str, signal: str) -> str:
    if said.error:
        return _no_http(said, endpoint)
    status = f"{said.status} {said.reason}".strip()
    if 300 <= said.status < 400:
        return f"answers {status} and names another address, where no exporter follows; name {said.location or 'it'}"
    if 200 <= said.status < 300:
        if "html" not in said.content_type:
            return ""
        return f"answers {status} with a web page: that is no OTLP receiver; the port of one is usually 4318"
    if said.status in (401, 403, 407):
        return f"answers {status}: it wants credentials, see OTEL_EXPORTER_OTLP_HEADERS"
    if said.status in (429, 502, 503, 504):
        return f"answers {status}: something is there, and takes nothing at the moment; look at its own log"
    if said.status == 404 and variable != _BASE and not urlsplit(endpoint).path.strip("/"):
        return f"answers {status}: {variable} is the whole URL of its signal; add /v1/{signal}"
    return f"answers {status}: that is no OTLP receiver; the port of one is usually 4318"


def _no_http(said: Said, endpoint: str) -> str:
    error, host = said.error, urlsplit(endpoint).hostname or "localhost"
    why = outages.explain(error)
    if said.error_type == "ProxyError":
        proxies = ", ".join(f"{name}={_masked(os.environ[name])}" for name in _proxies_set())
        return f"the proxy does not let it through ({why}; {proxies}); correct that, or add {host} to NO_PROXY"
    if "WRONG_VERSION_NUMBER" in error:
        return "answers, but not with TLS; write http:// in place of https://"
    if said.error_type == "SSLError":
        return f"TLS fails ({why}); OTEL_EXPORTER_OTLP_CERTIFICATE names the file with the certificate of its authority"
    if any(sign in error for sign in _NO_HTTP):
        return (
            "answers, but not with HTTP; 4317 is the port for gRPC: name 4318, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
        )
    if "timed out" in error.lower():
        return _SILENT
    return f"cannot be reached ({why}); is the collector running?"


def _over_grpc(said: Said, endpoint: str) -> str:
    error, code = said.error, said.error_type
    why = outages.explain(error)
    if not code:
        return ""
    if code == "UNIMPLEMENTED":
        return "is a gRPC server without OTLP's service; the port of an OTLP receiver is usually 4317"
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return f"answers {code}: it wants credentials, see OTEL_EXPORTER_OTLP_HEADERS"
    if "WRONG_VERSION_NUMBER" in error:
        return "answers, but not with TLS; write http:// in front of the address"
    if any(sign in error for sign in _NO_GRPC):
        return (
            "answers, but not with gRPC; 4318 is the port for HTTP: name 4317, or set "
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        )
    if code == "DEADLINE_EXCEEDED":
        return _SILENT
    proxies = ", ".join(f"{name}={_masked(os.environ[name])}" for name in _proxies_set())
    through = f"; it goes through {proxies}, to which no_proxy makes exceptions" if proxies else ""
    return f"cannot be reached ({why or code}{through}); is the collector running?"


def _explain(error: Exception, name: str) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, setup.NotInstalled):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        return f"{text}; a package that it needs is missing or does not fit, see `{pip()} check`"
    if "not found in entry point" in text:
        return f"no installed package has it; {pip()} install opentelemetry-exporter-{name}, or correct the name"
    return text


# --- the environment -------------------------------------------------------------------------------------------------


def _endpoint(environ: Mapping[str, str], signal: str) -> tuple[str, str]:
    """Return the variable that names the address of `signal`, and its value; empty where the default is taken."""
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    return (own, environ[own]) if environ.get(own) else (_BASE, environ.get(_BASE, ""))


def _protocol(environ: Mapping[str, str], signal: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or environ["OTEL_EXPORTER_OTLP_PROTOCOL"]


def _proxies_set() -> list[str]:
    return [name for name in sorted(os.environ) if name.lower() in _PROXIES and os.environ[name]]


@contextlib.contextmanager
def _as_environment(environ: Mapping[str, str]) -> Generator[None]:
    """Let exporters, which read it themselves, see `environ`."""

    def counts(name: str) -> bool:
        return name.startswith("OTEL_") or name.lower() in _PROXIES

    before = {name: value for name, value in os.environ.items() if counts(name)}
    wanted = {name: value for name, value in environ.items() if counts(name)}
    _put(before, wanted)
    try:
        yield
    finally:
        _put({name: "" for name in os.environ if counts(name)}, before)


def _put(before: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for name in before:
        if name not in wanted:
            del os.environ[name]
    os.environ.update(wanted)


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")


def _masked(text: str) -> str:
    return _MASKED.sub("", text)
