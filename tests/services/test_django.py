# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import environment
from otlp_sink import OtlpSink

SITE = """
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

def broken(request):
    raise RuntimeError("cannot say: purpleotter")

urlpatterns = [path("broken", broken)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False)
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
print(client.get("/broken").status_code, client.get("/missing").status_code)
"""


def test_an_error_page_warns_of_nothing(sink: OtlpSink, launcher: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*launcher, sys.executable, "-c", SITE], env=environment(sink, tmp_path), cwd=tmp_path,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "500 404\n"), done.stderr
    assert "Invalid type" not in done.stderr
    lines = [log for log in sink.logs() if log.scope == "django.request"]
    assert [log.severity for log in lines] == ["ERROR", "WARN"] and b"purpleotter" not in sink.raw_bytes()
