# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The public test kit: what it shows is what would leave, and after it all is as it was."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import fastapi
import httpx
import numpy as np
import pytest
from fastapi.middleware.gzip import GZipMiddleware
from opentelemetry.sdk import trace as sdk_trace

import otel_tts
from otel_tts import Chunk, Engine, Entry, Seam, Stage, guard, record
from otel_tts.distro import configurator
from otel_tts.emit import emitter
from otel_tts.instrumentation.edges import answer
from otel_tts.recording import recorder, stage
from otel_tts.testing import EPOCH_NS, FakeClock, FakeDevice, OutOfMemoryError, Telemetry, put_clock, shown
from tests.unit.support.engine_fixtures import tts

__all__ = ["tts"]

WAVE = np.sin(np.arange(8000) / 5) / 2


@pytest.fixture(autouse=True)
def nothing_contained() -> Iterator[None]:
    """A fault that the kit causes would be contained, and seen by nobody."""
    yield
    assert not guard.faults


def speak(text: str = "hello", request_id: str = "r1", voice: str | None = None) -> None:
    with otel_tts.synthesis("m", engine="e", text=text, request_id=request_id, voice=voice) as s:
        with s.stage("model"):
            pass
        s.audio(WAVE, 16000)


# --- the clock ----------------------------------------------------------------------------------------------------


def bound() -> list[Any]:
    """Where the two clocks are bound: in `time`, as `now`, under their own names, and in the SDK."""
    return [time.perf_counter_ns, time.time_ns, record.now, stage.now, answer.perf_counter_ns, sdk_trace.time_ns]


def test_a_clock_stands_in_everywhere_and_leaves_nothing() -> None:
    before = bound()
    with FakeClock() as clock:
        assert [read() for read in bound()] == [clock.ns, EPOCH_NS, clock.ns, clock.ns, clock.ns, EPOCH_NS]
        clock.tick(1.5)
        assert {read() for read in bound()} == {clock.ns, EPOCH_NS + 1_500_000_000}
    assert bound() == before


def test_a_clock_leaves_after_an_error_too() -> None:
    before = bound()
    with pytest.raises(ZeroDivisionError), FakeClock():
        raise ZeroDivisionError
    assert bound() == before


LATE = """
from time import perf_counter_ns as mine, time_ns

def read(now=mine):
    return now()
"""


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of a module of otel_tts that nobody has imported yet."""
    (tmp_path / "late.py").write_text(LATE)
    monkeypatch.setattr(otel_tts, "__path__", [*otel_tts.__path__, str(tmp_path)])
    yield "otel_tts.late"
    del sys.modules["otel_tts.late"], vars(otel_tts)["late"]


def test_a_module_that_is_imported_meanwhile_gets_the_real_clock(late: str) -> None:
    real = time.perf_counter_ns, time.time_ns
    with FakeClock() as clock:
        module: Any = importlib.import_module(late)
        assert module.mine() == module.read() == clock.ns
    assert (module.mine, module.time_ns) == real
    assert module.read() != clock.ns, "a default argument cannot be put back, but reads the real clock"


def test_a_patch_that_outlives_the_clock_reads_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", time.time_ns)  # for what this test leaves
    with pytest.MonkeyPatch.context() as patch, FakeClock():
        patch.setattr(time, "time_ns", lambda: 0)  # undone after the clock, to the clock's own
    assert time.time_ns() > EPOCH_NS + 1e15


def test_a_clock_inside_of_another_goes_back_to_it() -> None:
    before = bound()
    with FakeClock() as outer:
        with put_clock(lambda: 7, lambda: 8):
            assert [read() for read in bound()] == [7, 8, 7, 7, 7, 8]
        assert record.now() == outer.ns
    assert bound() == before


def test_a_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back by 1 s"):
        FakeClock().tick(-1)


# --- telemetry ----------------------------------------------------------------------------------------------------


def test_a_request_is_seen_in_all_three_signals() -> None:
    with FakeClock() as clock, Telemetry() as telemetry:
        with otel_tts.synthesis("m", engine="e", text="hello", request_id="r1") as s, s.stage("model"):
            clock.tick(0.25)
            s.audio(WAVE, 16000)
        model, whole = telemetry.shown_spans()
        assert (model["ids"], whole["ids"]) == ((1, 2), (1, 1))
        assert model["ms"] == whole["ms"] == (0.0, 250.0)
        assert shown(telemetry.span("tts.model")) == model
        assert telemetry.points("tts.request.duration") == {("m", "e", "ok"): (1, 0.25)}
        assert telemetry.all_points()["tts.stage.duration"] == {"tts.engine.name=e tts.stage=model": (1, 0.25)}
        assert [line.split()[1] for line in telemetry.lines()] == ["REQ_START", "REQ_SUCCESS", "STAGE_TIME"]


def test_what_is_seen_has_passed_the_gate() -> None:
    def spans(**options: Any) -> str:
        with Telemetry(**options) as telemetry:
            with otel_tts.synthesis("m", engine="e", text="hello") as s:
                s.set_attribute("what.was.said", "hello")
            return telemetry.everything()

    assert "hello" in spans(gated=False)
    assert "hello" not in spans()
    assert "text_to_speech m" in spans()


def test_settings_are_taken_by_their_names() -> None:
    with Telemetry(voices=("anna",)) as telemetry:
        speak(voice="anna")
        assert telemetry.span("text_to_speech m").attributes["tts.voice"] == "anna"
    with pytest.raises(TypeError, match="max_stage_span"):
        Telemetry(max_stage_span=1)


def test_two_runs_say_the_same() -> None:
    def run() -> str:
        with FakeClock(), Telemetry() as telemetry:
            speak(voice="a voice of one's own")
            return repr(telemetry.shown_spans())

    assert "'tts.voice': 'v-" in run()
    assert run() == run()


def test_a_span_that_is_not_there_is_named_with_those_that_are() -> None:
    with Telemetry() as telemetry:
        with pytest.raises(LookupError, match="0 spans are named 'x'; there are none"):
            telemetry.span("x")
        speak()
        speak()
        with pytest.raises(LookupError, match=r"2 spans are named 'tts.model'; there are tts.model, text_to_speech m"):
            telemetry.span("tts.model")


def test_an_exporter_that_hangs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with Telemetry() as telemetry, monkeypatch.context() as patch:
        patch.setattr(telemetry.emitter, "drain", lambda: False)
        with pytest.raises(TimeoutError, match="does an exporter hang"):
            telemetry.names()


def test_the_processs_own_recorder_goes_on_afterwards() -> None:
    assert emitter.current() is None
    with Telemetry() as own:
        with Telemetry() as inner:
            speak(request_id="inner")
            assert len(inner.lines()) == 3
        assert (emitter.current(), recorder.current()) == (own.emitter, own.recorder)
        speak(request_id="own")
        assert all("request_id=own" in line for line in own.lines())
    assert emitter.current() is None and recorder.current() is None


def test_one_that_ends_before_what_stands_in_for_it_is_not_brought_back() -> None:
    first, second = Telemetry(), Telemetry()
    first.close()
    assert emitter.current() is second.emitter
    second.close()
    assert emitter.current() is None


# --- hooks --------------------------------------------------------------------------------------------------------


def think(text: str) -> list[float]:
    return [0.5] * len(text)


def say(text: str) -> Any:
    return np.concatenate([WAVE * level for level in think(text)])


ENGINE = Engine(
    name="says",
    module=__name__,
    distribution="",
    entries=(Entry("say", text="text", chunk=Chunk(rate=16000)),),
    seams=(Seam("think", Stage.ACOUSTIC_MODEL),),
)


def test_a_table_holds_until_the_end() -> None:
    plain = say
    with Telemetry() as telemetry:
        telemetry.watch(ENGINE)
        say("hello")
        assert telemetry.names() == ["tts.acoustic_model", "text_to_speech"]
        assert telemetry.span("text_to_speech").attributes["tts.audio.duration"] == 2.5
    assert say is plain
    with Telemetry() as telemetry:
        say("hello")
        assert telemetry.names() == []


def test_another_table_for_the_same_module_is_the_next_tests() -> None:
    for name in ("one", "two"):
        with Telemetry() as telemetry:
            telemetry.watch(Engine(name=name, module=__name__, distribution="", entries=ENGINE.entries))
            say("hello")
            assert telemetry.span("text_to_speech").attributes["tts.engine.name"] == name


def test_a_wrong_table_is_an_error() -> None:
    wrong: Any = Engine(name="says", module=__name__, distribution="", entries=ENGINE.entries, seams=("think",))  # type: ignore[arg-type]
    with Telemetry() as telemetry, pytest.raises(ValueError, match="seams"):
        telemetry.watch(wrong)


def service() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/speech")
    def speech(text: str) -> dict[str, int]:
        speak(text)
        return {}

    return app


def get(app: Any, path: str = "/speech?text=hello") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return await client.get(path, headers={"x-request-id": "web-1"})

    return asyncio.run(ask())


@pytest.fixture
def http_names_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry reads which names of HTTP are wanted once in a process: another test may have been first."""
    from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Stability

    monkeypatch.setattr(Stability, "_initialized", False)
    monkeypatch.setattr(Stability, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})


@pytest.mark.usefixtures("http_names_unread")
@pytest.mark.parametrize("who", ["own", "contrib"])
@pytest.mark.parametrize("served", [False, True], ids=["new", "served before"])
def test_a_service_is_hooked_as_by_the_launcher_until_the_end(served: bool, who: str) -> None:
    app = service()
    if served:
        assert "x-request-id" not in get(app).headers
    for _ in range(2):
        with Telemetry(server_span=who) as telemetry:
            telemetry.launch(app)
            telemetry.launch()
            assert get(app).headers["x-request-id"] == "web-1"
            server = telemetry.span("GET /speech")
            assert telemetry.span("text_to_speech m").parent.span_id == server.context.span_id
            assert server.attributes["http.response.status_code"] == 200
            assert server.attributes["request_id"] == "web-1"
            assert "hello" not in telemetry.everything()
    if not served and who == "contrib":
        app.add_middleware(GZipMiddleware)  # which Starlette refuses to an application that has been served
    with Telemetry() as telemetry:
        assert "x-request-id" not in get(app).headers
        assert telemetry.names() == ["tts.model", "text_to_speech m"]


def test_the_launchers_hooks_find_the_engines_that_have_tables(tts: Any) -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        tts("Hello.")
        assert telemetry.span("tts.vocoder").attributes["tts.stage"] == "vocoder"
    with Telemetry() as telemetry:
        tts("Hello.")
        assert telemetry.names() == []


def test_a_process_that_is_configured_is_not_hooked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configurator, "_pipeline", object())
    with Telemetry() as telemetry, pytest.raises(RuntimeError, match="OTEL_TTS_ENABLED=false"):
        telemetry.launch()


# --- the device ---------------------------------------------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[tuple[FakeClock, FakeDevice, Telemetry]]:
    with FakeClock() as clock:
        device = FakeDevice(clock, capacity=1 << 30)
        with Telemetry(device=device) as telemetry:
            yield clock, device, telemetry


def test_stages_have_the_devices_times_and_memory(fake: tuple[FakeClock, FakeDevice, Telemetry]) -> None:
    clock, device, telemetry = fake
    with otel_tts.synthesis("m", engine="e") as s:
        with s.stage("text_frontend", device="cpu"):
            clock.tick(0.01)
        with s.stage("model"):
            device.allocate(64 << 20)
            device.launch(0.5)
            device.free(32 << 20)
        with s.stage("vocoder"):
            device.launch(0.25)
            device.synchronize()
    frontend, model, vocoder = (
        telemetry.span(f"tts.{name}").attributes for name in ("text_frontend", "model", "vocoder")
    )
    assert frontend["gpu.timing.mode"] == "host" and "gpu.elapsed" not in frontend
    assert model["gpu.elapsed"] == pytest.approx(0.5, abs=1e-4)
    assert model["gpu.memory.peak"] == 64 << 20
    assert vocoder["gpu.elapsed"] == pytest.approx(0.25, abs=1e-4)
    assert vocoder["gpu.queue_delay"] == pytest.approx(0.5, abs=1e-4)
    assert vocoder["gpu.memory.peak"] == 32 << 20


def test_a_request_waits_for_its_device(fake: tuple[FakeClock, FakeDevice, Telemetry]) -> None:
    clock, device, telemetry = fake
    with otel_tts.synthesis("m", engine="e") as s, s.stage("model"):
        device.launch(0.5)
    assert telemetry.names() == []
    clock.tick(0.6)
    assert telemetry.names() == ["tts.model", "text_to_speech m"]
    assert telemetry.span("tts.model").attributes["gpu.elapsed"] == pytest.approx(0.5, abs=1e-4)


def test_a_device_runs_out_of_memory(fake: tuple[FakeClock, FakeDevice, Telemetry]) -> None:
    _, device, telemetry = fake
    with pytest.raises(OutOfMemoryError, match="has 1073741824 bytes"):  # noqa: SIM117
        with otel_tts.synthesis("m", engine="e") as s, s.stage("model"):
            device.allocate(2 << 30)
    (event,) = [event for event in telemetry.span("tts.model").events if event.name == "gpu.memory"]
    assert event.attributes["gpu.memory.oom"] is True
    assert event.attributes["gpu.memory.requested"] == 2 << 30


def test_a_device_refuses_what_a_real_one_would() -> None:
    device = FakeDevice(FakeClock())
    with pytest.raises(ValueError, match="1 bytes are freed, 0 are held"):
        device.free(1)
    first, last = device.new_event(), device.new_event()
    device.record(first, device)
    device.launch(1)
    device.record(last, device)
    with pytest.raises(RuntimeError, match="not passed"):
        device.elapsed_ms(first, last)
    device.sync_stream(device)
    assert device.elapsed_ms(first, last) == 1000.0


# --- pytest -------------------------------------------------------------------------------------------------------


def test_without_the_fixtures_there_is_no_pytest() -> None:
    code = "import otel_tts.testing, sys; sys.exit('pytest' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_pytest_loads_nothing_of_ours_by_itself() -> None:
    assert [plugin.value for plugin in entry_points(group="pytest11") if plugin.value.startswith("otel_tts")] == []


def test_the_fixtures_come_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["otel_tts.testing.fixtures"]\n')
    (tmp_path / "test_own.py").write_text(
        textwrap.dedent("""
        import time

        import otel_tts

        REAL = time.perf_counter_ns


        def speak(work):
            with otel_tts.synthesis("m", engine="e") as s, s.stage("model"):
                work()


        def test_alone(telemetry):
            assert time.perf_counter_ns is REAL
            speak(lambda: None)
            assert telemetry.names() == ["tts.model", "text_to_speech m"]


        def test_on_a_clock(telemetry, fake_clock):
            speak(lambda: fake_clock.tick(2))
            assert telemetry.points("tts.stage.duration") == {("e", "model"): (1, 2.0)}


        def test_on_a_device(fake_device, telemetry):
            speak(lambda: fake_device.launch(3))
            fake_device.synchronize()
            assert round(telemetry.span("tts.model").attributes["gpu.elapsed"], 3) == 3


        def test_afterwards():
            assert time.perf_counter_ns is REAL
            assert otel_tts.recording.recorder.current() is None
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)],
        env=dict(os.environ), cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
