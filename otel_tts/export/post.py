# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Sends batches to one target: a kept connection, tries that end with the target's timeout, Retry-After, forks.

Imported when an exporter is made and not with its first batch, which may leave at the exit: modules that make named
tuples or dataclasses run text as code, and that makes Python forget that it dies of Ctrl-C (status 1, not SIGINT).
"""

from __future__ import annotations

import http.client
import logging
import random
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from typing import Final

from otel_tts.export import answers
from otel_tts.export.answers import Answer
from otel_tts.export.connection import Connection, Trust
from otel_tts.export.endpoint_settings import Target

_logger = logging.getLogger("otel_tts.export")

_TRIES: Final = 6
_JITTER: Final = 0.2


@dataclass(frozen=True)
class Outcome:
    """What became of a batch. `error` stands where there was no answer."""

    answer: Answer | None = None
    error: str = ""
    error_type: str = ""
    """The name of what was raised: ProxyError, SSLError, TimeoutError, …"""
    tries: int = 1
    """How often it may be sent in all."""

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.answer is not None and self.answer.delivered

    @property
    def again(self) -> float | None:
        """Seconds after which the receiver wants it again; None where it did not say so."""
        return None if self.answer is None else self.answer.asked

    def __str__(self) -> str:
        if self.answer is None:
            return f"code: None, reason: {self.error}"
        return f"code: {self.answer.status}, reason: {self.answer.reason}"


class Sender:
    """One target's connection. `send` may be called by any thread, one batch goes at a time."""

    def __init__(self, target: Target, what: str) -> None:
        self._target, self._what = target, what
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._trust = Trust(target)
        self._connection: Connection | None = None

    def send(self, body: bytes) -> Outcome:
        """Post `body`, packed already, and try again what is transient while the target's timeout lasts."""
        with self._lock:
            return self._send(body, time.monotonic() + self._target.timeout)

    def try_once(self, body: bytes, seconds: float) -> Outcome:
        """Post `body` and do not try again."""
        with self._lock:
            return self._once(body, time.monotonic() + seconds)

    def close(self) -> None:
        """End waits between two tries, and the connection where it is not in use."""
        self._over.set()
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _send(self, body: bytes, deadline: float) -> Outcome:
        attempt = 0
        while True:
            attempt += 1
            outcome = self._once(body, deadline)
            if outcome.delivered:
                return outcome
            asked = outcome.again
            pause = 2.0 ** (attempt - 1) * random.uniform(1 - _JITTER, 1 + _JITTER)
            if asked is not None:
                pause = asked * random.uniform(1, 1 + _JITTER)  # not all processes at once
            if attempt >= outcome.tries or time.monotonic() + pause >= deadline or self._over.is_set():
                return outcome
            _logger.warning("otel-tts: %s do not get to %s, %s", self._what, self._target.place, outcome)
            if self._over.wait(pause):
                return outcome

    def _once(self, body: bytes, deadline: float) -> Outcome:
        """Send once; and once more where a kept connection turns out to have been closed meanwhile."""
        for kept in (True, False) if self._connection is not None else (False,):
            try:
                return self._post(body, deadline, kept)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if kept and not isinstance(error, TimeoutError) and time.monotonic() < deadline:
                    continue
                is_certificate = isinstance(error, ssl.SSLCertVerificationError)
                name = "SSLError" if is_certificate else type(error).__name__
                return Outcome(error=_words(error), error_type=name, tries=1 if is_certificate else _TRIES)
            except Exception as error:  # a proxy that cannot be used, or a fault of ours
                self._drop()
                name = type(error).__name__
                return Outcome(error=str(error) if isinstance(error, ValueError) else name, error_type=name)
        raise AssertionError("the last of them has no kept connection")

    def _post(self, body: bytes, deadline: float, kept: bool) -> Outcome:
        if not kept or self._connection is None:
            self._connection = Connection(self._target, self._trust)
        answer = self._connection.post(body, self._target.compression, deadline)
        try:
            content = answer.read(answers.MOST_BYTES)
        except (OSError, http.client.HTTPException):  # half an answer; its status has been read
            content = b""
        found = answers.read(answer.status, answer.headers, content, answer.reason)
        if answer.will_close or not answer.isclosed():  # more than that would only hold the connection
            self._drop()
        return Outcome(found, tries=found.tries)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def packed(content: bytes, how: str) -> bytes:
    """Return `content` as `how` (none, gzip, deflate) wants it."""
    if how == "gzip":
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        return packer.compress(content) + packer.flush()
    return zlib.compress(content) if how == "deflate" else content


def _words(error: BaseException) -> str:
    """Return an error in words that quote neither the receiver's bytes nor what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate cannot be verified: {error.verify_message}"
    if isinstance(error, http.client.HTTPException):
        return f"no HTTP answer ({type(error).__name__})"
    if isinstance(error, OSError) and error.errno is not None:
        return f"[Errno {error.errno}] {error.strerror}"
    return str(error) or type(error).__name__
