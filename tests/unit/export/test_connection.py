# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""TLS with certificates made here, and proxies: real ones, in both forms."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_tts.export import endpoint_settings
from otel_tts.export.post import Outcome, Sender
from tests.unit.support.receiver import Receiver, answer

HERE = "IP:127.0.0.1"


class Authority:
    """Signs certificates, with the openssl of the machine."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self.certificate, self._key = str(folder / "ca.pem"), str(folder / "ca.key")
        self._openssl(
            "req",
            "-x509",
            *self._new(self._key),
            "-out",
            self.certificate,
            "-days",
            "2",
            "-subj",
            "/CN=ca",
            "-addext",
            "keyUsage=critical,keyCertSign",
        )

    def sign(self, names: str = HERE, days: int = 2) -> tuple[str, str]:
        """Return the files of a certificate and its key."""
        self._count += 1
        stem = self._folder / str(self._count)
        certificate, key, request, more = (f"{stem}.{suffix}" for suffix in ("pem", "key", "csr", "ext"))
        Path(more).write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
        self._openssl("req", *self._new(key), "-out", request, "-subj", "/CN=test")
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", str(days), "-extfile", more, "-out", certificate,
        )  # fmt: skip
        return certificate, key

    def _new(self, key: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    return Authority(tmp_path_factory.mktemp("ca"))


def serving(certificate: str, key: str, clients: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def send(endpoint: str, **variables: str) -> Outcome:
    environ = {"ENDPOINT": endpoint, "TIMEOUT": "5", **variables}
    target = endpoint_settings.read("traces", {f"OTEL_EXPORTER_OTLP_{k}": v for k, v in environ.items()})
    sender = Sender(target, "spans")
    try:
        return sender.send(b"x")
    finally:
        sender.close()


# --- TLS -------------------------------------------------------------------------------------------------------------


def test_a_certificate_of_an_authority_of_ones_own(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(serving(*authority.sign())) as receiver:
        assert send(receiver.endpoint, CERTIFICATE=authority.certificate).delivered
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.certificate)  # as the SDK's exporter has it
        assert send(receiver.endpoint).delivered


@pytest.mark.parametrize(
    ("names", "days", "known", "why"),
    [
        (HERE, 2, False, "unable to get local issuer certificate"),
        ("IP:127.0.0.2,DNS:localhost", 2, True, "IP address mismatch"),
        (HERE, -1, True, "certificate has expired"),
    ],
)
def test_a_certificate_that_does_not_hold_is_refused_at_once(
    authority: Authority, names: str, days: int, known: bool, why: str
) -> None:
    with Receiver(serving(*authority.sign(names, days))) as receiver:
        outcome = send(receiver.endpoint, **({"CERTIFICATE": authority.certificate} if known else {}))
        assert not outcome.delivered and outcome.tries == 1 and why in str(outcome)
        assert not receiver.requests


def test_a_name_is_verified_too(authority: Authority) -> None:
    with Receiver(serving(*authority.sign("DNS:elsewhere"))) as receiver:
        outcome = send(f"https://localhost:{receiver.port}", CERTIFICATE=authority.certificate)
    assert not outcome.delivered and "Hostname mismatch" in str(outcome)


def test_mutual_tls_and_a_certificate_that_is_renewed_in_place(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.sign()
    ours, our_key = str(tmp_path / "ours.pem"), str(tmp_path / "ours.key")
    with Receiver(serving(certificate, key, clients=authority.certificate)) as receiver:
        receiver.always = answer(connection="close")
        assert not send(receiver.endpoint, CERTIFICATE=authority.certificate).delivered
        environ = {"ENDPOINT": receiver.endpoint, "TIMEOUT": "2", "CERTIFICATE": authority.certificate}
        environ |= {"CLIENT_CERTIFICATE": ours, "CLIENT_KEY": our_key}
        given = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in environ.items()}
        sender = Sender(endpoint_settings.read("traces", given), "spans")
        assert "No such file" in str(sender.send(b"not yet there"))
        for days in (2, -1, 2):
            for source, copy in zip(authority.sign(days=days), (ours, our_key), strict=True):
                shutil.copy(source, copy)
                os.utime(copy, (days * 1e6 + 2e9, os.stat(copy).st_mtime + days))
            assert sender.send(b"x").delivered == (days > 0)
        sender.close()


# --- proxies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_an_http_proxy(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, receiver.endpoint.replace("//", "//u:p@"))
    assert send("http://collector.invalid:4318").delivered
    (request,) = receiver.requests
    assert request.head == "POST http://collector.invalid:4318/v1/traces HTTP/1.1"
    assert request.headers["proxy-authorization"] == "Basic dTpw"
    assert request.headers["host"] == "collector.invalid:4318"


@pytest.mark.parametrize("named", ["127.0.0.1", "10.0.0.0/8, 127.0.0.0/8", "*", "127.0.0.1:PORT"])
def test_no_proxy(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert not send(receiver.endpoint, TIMEOUT="0.5").delivered
    monkeypatch.setenv("no_proxy", named.replace("PORT", str(receiver.port)))
    assert send(receiver.endpoint).delivered


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "https://127.0.0.1:1", "http://", "http://h:99999"])
def test_a_proxy_that_is_not_supported_is_said(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    outcome = send(receiver.endpoint)
    assert not outcome.delivered and not receiver.requests
    assert "http://host:port" in str(outcome) or "ort" in str(outcome)


@pytest.fixture
def tunnel() -> Iterator[list[str]]:
    """A proxy for CONNECT; what it was asked, its port first."""
    heads: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    heads.append(str(listener.getsockname()[1]))

    def pump(source: socket.socket, to: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                to.sendall(piece)
        except OSError:
            pass
        for end in (source, to):
            end.close()

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += near.recv(1)
            heads.append(head.decode())
            host, port = head.split()[1].decode().rsplit(":", 1)
            far = socket.create_connection((host, int(port)))
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield heads
    listener.close()


def test_a_tunnel_through_a_proxy_hides_the_headers_from_it(
    authority: Authority, tunnel: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://u:p@127.0.0.1:{tunnel[0]}")
    with Receiver(serving(*authority.sign())) as receiver:
        outcome = send(receiver.endpoint, CERTIFICATE=authority.certificate, HEADERS="authorization=secret")
        assert outcome.delivered, outcome
        (request,) = receiver.requests
    assert request.headers["authorization"] == "secret" and "proxy-authorization" not in request.headers
    (asked,) = tunnel[1:]
    assert asked.startswith(f"CONNECT 127.0.0.1:{receiver.port} ")
    assert "Basic dTpw" in asked and "secret" not in asked
