# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the watcher asks and runs, on real servers, sockets and processes."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otel_tts import marking
from otel_tts.watching import asking, commands, heard, signals
from otel_tts.watching.config import Canary, Config, Gpu, Page
from otel_tts.watching.floor import Floor
from otel_tts.watching.inside import GONE, MUTE, Inside, Reply, Sockets, put_together
from otel_tts.watching.means import RealMeans, Spoken
from otel_tts.watching.probes import Probes, UsualTime
from tests.unit.support.controlled import ask
from tests.unit.support.nvml_stub import GPU0, Stub
from tests.unit.support.simulated_service import Service, SimulatedClock, config


def wav(samples: np.ndarray, rate: int = 16000) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return written.getvalue()


TONE = 0.4 * np.sin(np.arange(16000) / 7)
SPEECH = wav(TONE)


class Pages(BaseHTTPRequestHandler):
    asked: list[tuple[str, dict[str, str], bytes]] = []

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def answer(self, body: bytes) -> None:
        self.asked.append((self.command, {k.lower(): v for k, v in self.headers.items()}, body))
        what = self.path.strip("/")
        if what.isdecimal():
            self.send_response(int(what))
            self.send_header("Location", "/speech")
            self.end_headers()
        elif what == "speech":
            self.send_response(200)
            self.send_header("Content-Type", "audio/wav")
            self.end_headers()
            self.wfile.write(SPEECH)
        elif what in ("gradio_api/call/speak", "gradio_api/call/fail"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"event_id": "e1"}' if what.endswith("speak") else b'{"event_id": "e2"}')
        elif what.startswith(("gradio_api/call/", "call/")):
            ends = {"e1": 'complete\ndata: [{"path": "/tmp/a b.wav"}]', "e2": "error\ndata: null"}
            self.send_response(200 if what[-2:] in ends else 404)
            self.end_headers()
            self.wfile.write(f"event: heartbeat\ndata: null\n\nevent: {ends.get(what[-2:])}\n\n".encode())
        elif what == "gradio_api/file=/tmp/a%20b.wav":
            self.path = "speech"
            self.answer(body)
        elif what == "hang":
            time.sleep(30)
        elif what == "drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(300):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
        elif what == "nonsense":
            self.wfile.write(b"SSH-2.0-x\r\n")

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def pages() -> Iterator[str]:
    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: Any) -> None:  # who asked has gone
            pass

    server = Quiet(("127.0.0.1", 0), Pages)
    Pages.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def means(**said: Any) -> RealMeans:
    return RealMeans(Config(name="x", **said))


def test_a_page_answers_or_not(pages: str, free_port) -> None:
    assert means().page(Page(pages + "204")).status == 204
    assert means().page(Page(pages + "500")).status == 500
    assert means().page(Page(pages + "302")).status == 302  # it is not followed
    assert means().page(Page(pages + "hang", 0.2)).reason == "no answer within 0.2 s"
    assert means().page(Page(pages + "drip", 0.3)).reason == "no answer within 0.3 s"
    assert means().page(Page(pages + "nonsense")).status is None
    assert means().page(Page(f"http://127.0.0.1:{free_port()}/")).reason == "nobody listens there"


def test_an_answer_without_an_end_is_not_kept(pages: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LARGEST", 1000)
    assert asking.ask(pages + "speech", 5).reason == "no answer (ValueError)"


def test_a_canary_speaks_and_is_marked_where_the_service_can_know_it(pages: str, controlled, folder: Path) -> None:
    controlled()
    canary = Canary(pages + "speech", json={"input": "One two"}, headers={"X-Key": "k"})
    assert means(control=str(folder)).speak(canary).failure == ""
    method, headers, body = Pages.asked[-1]
    assert (method, headers["x-key"], json.loads(body)) == ("POST", "k", {"input": "One two"})
    marked = [(marking.HEADER.encode(), headers[marking.HEADER].encode())]
    assert marking.is_marked(marked)
    assert means().speak(canary).failure == ""
    assert marking.HEADER not in Pages.asked[-1][1]


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_is_busy_has_not_failed(pages: str, status: int) -> None:
    spoken = means().speak(Canary(f"{pages}{status}"))
    assert spoken.refused and not spoken.failure


@pytest.mark.parametrize(
    ("page", "failure"), [("404", "status 404"), ("500", "status 500"), ("200", "empty"), ("hang", "no answer within")]
)
def test_a_canary_that_gets_no_audio_has_failed(pages: str, page: str, failure: str) -> None:
    assert means().speak(Canary(pages + page, within_s=0.5)).failure.startswith(failure)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"", {"empty"}),
        (SPEECH, set()),
        (wav(np.zeros(16000)), {"silent"}),
        (wav(np.zeros(0)), {"empty"}),
        (SPEECH[: len(SPEECH) // 2], {"truncated"}),
        (b"<html>Bad gateway</html>" * 100, {"wrong_format"}),
        (wav(np.clip(TONE * 9, -1, 1)), set()),  # told, not a failure
    ],
    ids=["nothing", "speech", "silence", "no samples", "half", "page", "clipped"],
)
def test_what_a_canary_gets_is_heard(body: bytes, wrong: set[str]) -> None:
    assert heard.FAILURES.intersection(heard.judge(body, "audio/wav")) == wrong


def test_samples_without_a_header_are_heard_too() -> None:
    tone = (TONE * 32767).astype("<i2").tobytes()
    assert heard.judge(tone, pcm_rate=16000) == ()
    assert "silent" in heard.judge(bytes(32000), pcm_rate=16000)


def test_a_canary_may_be_a_function_of_a_gradio_page(pages: str, controlled, folder: Path) -> None:
    controlled()
    one = means(control=str(folder))
    assert one.speak(Canary(pages, gradio="/speak", json=["One two", 3])).failure == ""
    method, headers, body = Pages.asked[0]
    assert (method, json.loads(body)) == ("POST", {"data": ["One two", 3]})
    assert marking.is_marked([(marking.HEADER.encode(), headers[marking.HEADER].encode())])
    assert one.speak(Canary(pages, gradio="none", json=[])).failure == "status 404"
    assert one.speak(Canary(pages, gradio="fail", json=[])).failure == "the page's function failed"


def test_a_canary_may_be_a_command(tmp_path: Path, controlled, folder: Path) -> None:
    controlled()
    speech = tmp_path / "speech.wav"
    speech.write_bytes(SPEECH)
    code = f"import os, sys; open({str(tmp_path / 'mark')!r}, 'w').write(os.environ['CANARY_HEADER']); "
    code += f"sys.stdout.buffer.write(open({str(speech)!r}, 'rb').read())"
    one = means(control=str(folder))
    assert one.speak(Canary(command=(sys.executable, "-c", code))).failure == ""
    name, _, value = (tmp_path / "mark").read_text().partition(": ")
    assert marking.is_marked([(name.encode(), value.encode())])
    assert one.speak(Canary(command=("/bin/false",))).failure == "its command ended with status 1"
    hung = one.speak(Canary(command=("/bin/sleep", "60"), within_s=0.3))
    assert "longer than 0.3 s" in hung.failure
    assert "said too much" in commands.read_output(("/bin/cat", "/dev/zero"), {}, 20, 10_000)[0].reason


def test_a_command_that_hangs_is_ended_with_what_it_began(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"trap '' TERM; sleep 300 & echo 1513 > {pid}; wait; sleep 300"
    ran = commands.run(("/bin/sh", "-c", script), 0.5)
    assert ran.status is None and "longer than 0.5 s" in ran.reason
    child = int(pid.read_text())
    until = time.monotonic() + 20
    while _runs(child):
        assert time.monotonic() < until
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_that_cannot_be_begun_is_said(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("no program")
    script.chmod(0o700)
    assert "cannot be begun" in commands.run((str(script),), 5).reason
    assert "is not there" in commands.run((str(tmp_path / "none"),), 5).reason


def test_what_a_command_prints_is_not_kept(capfd: pytest.CaptureFixture[str]) -> None:
    ran = commands.run(("/bin/sh", "-c", "echo purple otter; echo purple otter >&2; exit 3"), 10)
    assert (ran.status, ran.reason) == (3, "")
    assert capfd.readouterr() == ("", "")


def test_the_processes_are_asked_together(controlled, folder: Path) -> None:
    here, server = controlled()
    one = means(control=str(folder))
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        inside = one.inside()
    assert inside is not None and (inside.alive, inside.gone, inside.mute) == (1, 0, ())
    assert inside.names == {server.path.stem}
    assert inside.stage == "vocoder" and len(inside.still) == 1 and inside.memory is not None
    server.close()
    assert one.inside() == Inside()  # stopped, not gone


def test_a_process_that_was_killed_is_gone_and_one_that_is_stopped_is_mute(folder: Path) -> None:
    code = """if True:
        import sys, time
        from pathlib import Path
        from otel_tts.control.server import Server
        Server(Path(sys.argv[1]), {"health": lambda rest: {}})
        print("up", flush=True)
        time.sleep(100)
    """
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        os.kill(process.pid, signal.SIGSTOP)
        sockets = Sockets(folder, timeout_s=0.3)
        assert [(reply.pid, reply.state) for reply in sockets.ask("health")] == [(process.pid, MUTE)]
        process.kill()
        process.wait()
        assert [reply.state for reply in sockets.ask("health")] == [GONE]


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        None,
        7,
        {"stages": 3},
        {"stages": [{}]},
        {"pid": 1, "stages": [], "moved_s": "x"},
        {"error": "no such verb"},
    ],
)
def test_an_answer_of_another_form_is_mute(said: Any) -> None:
    assert put_together([Reply(7, said=said)]) == Inside(mute=(7,))


def test_answers_without_end_or_sense_are_mute(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "12-x.sock"))
        listener.listen()

        def serve() -> None:
            for said in (b"x" * 200_000, b"{" * 60_000, b"\xff"):
                asking_one, _ = listener.accept()
                with asking_one:
                    asking_one.recv(100)
                    asking_one.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        for _ in range(3):
            assert [reply.state for reply in Sockets(folder).ask("health")] == [MUTE]


def test_sockets_of_others_are_not_believed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "1-x.sock").touch()
    (folder / "token").write_text("t")
    folder.chmod(0o755)
    monkeypatch.setattr("otel_tts.watching.inside.os.geteuid", lambda: 1234)
    sockets = Sockets(folder)
    assert sockets.why_not() is not None and sockets.ask("health") == [] and sockets.token() is None


def test_the_cache_is_emptied_over_the_socket(controlled, folder: Path, torch, device) -> None:
    device.devs[0].mem.free(device.devs[0].mem.alloc(2**20))
    _, server = controlled()
    assert means(control=str(folder)).empty_cache().well
    assert ask(server.path, "empty-cache")["freed"] == 0
    assert not means().empty_cache().well


def test_the_driver_is_asked_where_devices_are_named(stub: Stub) -> None:
    stub.set(0, total=100 * 2**30, used=97 * 2**30)
    one = means(gpu=Gpu(devices=("0",)), every_s=0.05)
    until = time.monotonic() + 20
    while not (found := one.gpus()):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert found == {GPU0: 0.97}
    one._driver.stop()
    assert means().gpus() == {}


def test_a_process_is_known_by_the_file_of_its_number(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    one = means(pid_file=str(path))
    assert one.is_alive() is None
    with subprocess.Popen(["/bin/sleep", "100"]) as process:
        path.write_text(f"{process.pid}\n")
        used, total = one.memory()
        assert one.is_alive() is True and used is not None and 0 < used < total
        assert one.cpu_s(process.pid) is not None
        process.kill()
        until = time.monotonic() + 20
        while _runs(process.pid):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert one.is_alive() is False  # nobody has asked for its end: a zombie is no process
    assert one.is_alive() is False and one.memory()[0] is None and one.cpu_s(process.pid) is None
    path.write_text("nonsense")
    assert one.is_alive() is None


def test_a_floor_is_what_is_always_there_and_rises_without_a_fall() -> None:
    floor, spiky = Floor(60, 600), Floor(60, 600)
    for at in range(0, 601, 10):
        floor.add(at, 0.5 + at / 6000 + (at % 60 == 0) * 0.3)
        spiky.add(at, 0.9 if at % 50 else 0.4)
        if at < 60:
            assert floor.lowest(at) is None and floor.rises(at) is None
    assert floor.lowest(600) == pytest.approx(0.59, abs=0.01) and floor.rises(600) is True
    assert spiky.lowest(600) == 0.4 and spiky.rises(600) is False


def test_a_canary_that_had_to_wait_for_others_is_not_slow() -> None:
    class Waiting(Service):
        seconds, still = 1.0, ()

        def speak(self, canary: Canary) -> Spoken:
            return self.took(self.seconds)

        def inside(self) -> Inside:
            return Inside(1, still=self.still)

    clock = SimulatedClock()
    service = Waiting(clock)
    probes = Probes(config(), service, clock)
    for _ in range(9):
        assert not probes.look(anew=True)[signals.SLOW].bad
    service.seconds, service.still = 50.0, (3.0,)
    assert signals.SLOW not in probes.look(anew=True)
    service.still = ()
    assert probes.look(anew=True)[signals.SLOW].bad


def test_a_canary_is_slow_by_its_own_measure() -> None:
    usual = UsualTime()
    assert [usual.is_slow(seconds) for seconds in (4.0, 4.1, 3.9, 4.0, 4.0)] == [False] * 5
    assert not usual.is_slow(11.0) and usual.is_slow(13.0) and usual.is_slow(13.0)
    assert usual.usual_s == pytest.approx(4.0, abs=0.1)
