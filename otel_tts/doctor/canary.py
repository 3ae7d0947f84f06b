# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A canary: a request that is made to be found again, by a process of its own or by a service that is asked."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from otel_tts import names
from otel_tts.readers.http import is_loopback
from otel_tts.trouble import Trouble, WrongUse

STAGES: Final = ("text_frontend", "vocoder")
TEXT: Final = "A canary sings, and somebody listens."

_SPOKEN_WITHIN_S: Final = 90.0
_ANSWERED_WITHIN_S: Final = 120.0
_SAID: Final = 3
"""Lines of a canary's stderr that are repeated."""


@dataclass(frozen=True)
class Canary:
    """What to look for. `at` is when it was sent, in Unix nanoseconds; `service` is None where it is not known.

    `instance` is its process's, where it is our own. `said` is what that process said of its telemetry.
    """

    request_id: str
    trace_id: str
    at: int
    service: str | None
    instance: str | None
    said: str = ""

    @property
    def is_own(self) -> bool:
        """Whether it is by a process of ours, of which all is known."""
        return self.instance is not None


def speak(environ: Mapping[str, str]) -> Canary:
    """Have a process speak a canary whose telemetry goes where this environment's goes. Raises Trouble."""
    request_id, instance = f"doctor-{secrets.token_hex(6)}", str(uuid.uuid4())
    trace_id, parent = _ids()
    resource = f"{environ.get('OTEL_RESOURCE_ATTRIBUTES', '')},service.instance.id={instance}".lstrip(",")
    own = {
        "OTEL_SERVICE_NAME": names.DOCTOR, "OTEL_RESOURCE_ATTRIBUTES": resource, "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_TTS_ENABLED": "true",
    }  # fmt: skip
    python = [sys.executable, "-m"]
    command = [*python, "otel_tts.cli.main", "run", "--", *python, "otel_tts.doctor.saying", request_id]
    at = time.time_ns()
    try:
        done = subprocess.run(
            [*command, _traceparent(trace_id, parent)], env={**environ, **own}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=_SPOKEN_WITHIN_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Trouble(f"The canary's process did not end within {_SPOKEN_WITHIN_S:.0f} s.") from None
    lines = [line for line in done.stderr.splitlines() if line.startswith("otel-tts") or "otel_tts" in line]
    said = " · ".join(lines[-_SAID:])
    if done.returncode:
        raise Trouble(f"The canary's process ended with status {done.returncode}: {said or done.stderr[-300:]}")
    return Canary(request_id, trace_id, at, names.DOCTOR, instance, said)


def ask(url: str, body: str | None) -> Canary:
    """Ask a service for speech, by POST where there is a body of JSON, as a caller in a trace would.

    Raises WrongUse for an URL that is none, Trouble where nobody answers or the answer is an error.
    """
    request_id, (trace_id, parent) = f"doctor-{secrets.token_hex(6)}", _ids()
    headers = {
        "x-request-id": request_id, "traceparent": _traceparent(trace_id, parent), "User-Agent": names.DOCTOR,
        **({"Content-Type": "application/json"} if body is not None else {}),
    }  # fmt: skip
    if not url.startswith(("http://", "https://")):
        raise WrongUse("The canary's URL is no http:// or https:// URL of a service.")
    bare, login = _without_login(url)
    at = time.time_ns()
    try:
        asked = urllib.request.Request(bare, None if body is None else body.encode(), {**headers, **login})
        with _opener(bare).open(asked, timeout=_ANSWERED_WITHIN_S) as answer:
            while answer.read(1 << 16):
                pass
            known = answer.headers.get("x-request-id") or request_id
    except urllib.error.HTTPError as error:
        with error:
            said = f"The service answers the canary with status {error.code}"
            raise Trouble(f"{said}; give it by --body what it takes.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        raise Trouble(f"The service does not answer the canary: {getattr(why, 'strerror', None) or why}.") from None
    return Canary(known, trace_id, at, None, None)


def _without_login(url: str) -> tuple[str, dict[str, str]]:
    """An URL without its user and password, and these as a header."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, {}
    said = base64.b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), {"Authorization": f"Basic {said}"}


def _opener(url: str) -> urllib.request.OpenerDirector:
    direct = is_loopback(urlsplit(url).hostname or "")
    return urllib.request.build_opener(urllib.request.ProxyHandler({} if direct else None))


def _ids() -> tuple[str, str]:
    return secrets.token_hex(16), secrets.token_hex(8)


def _traceparent(trace_id: str, parent: str) -> str:
    return f"00-{trace_id}-{parent}-01"
