# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""otel-tts fails in every other hook: files, loaders, callbacks, a page's queue, processes, web, log lines, imports.

Each module that hooks something is named in the table at the end, with the test in which it fails.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import io
import logging
import multiprocessing.pool
import pickle
import re
import subprocess
import sys
import time
import warnings
import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

import otel_tts
from otel_tts import guard
from otel_tts.device.memory import peak_statistics
from otel_tts.device.memory.peaks import PeakWindows
from otel_tts.device.torch.allocator import TorchAllocator
from otel_tts.device.torch.graphs import CaptureGuard
from otel_tts.engines import kept
from otel_tts.engines.table import Callback, Chunk, Engine, Entry, Finish, Keep, Load, Mark, Seam
from otel_tts.instrumentation.edges import asgi, asgi_scope, every, fastapi, serving
from otel_tts.instrumentation.libraries import log_handler, loguru
from otel_tts.instrumentation.libraries import logging as log_lines
from otel_tts.instrumentation.libraries import threads as carrier
from otel_tts.instrumentation.libraries.encoders import watch_postprocess
from otel_tts.instrumentation.libraries.torch_compile import watch_compiling
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo
from otel_tts.recording import request
from tests.unit.instrumentation.test_gradio import Function, body, gradio, speak_in, work
from tests.unit.support.fakecuda import FakeCuda
from tests.unit.support.faketorch import FakeTorch
from tests.unit.support.faults import PACKAGE, check, outcome

pytestmark = pytest.mark.thorough  # every line of ours fails once: not part of make check

__all__ = ["gradio"]

RATE = 24000
TONE = (0.5 * np.sin(np.arange(1200) / 20)).astype(np.float32)
PCM = (TONE * 32767).astype("<i2").tobytes()
with wave.open(_file := io.BytesIO(), "wb") as _writer:
    _writer.setparams((1, 2, RATE, 0, "NONE", ""))
    _writer.writeframes(PCM)
WAV = _file.getvalue()

FILES = ("delivered._note", "files.note", "file.open_file")


# --- files ------------------------------------------------------------------------------------------------------------


def write_soundfile(path: Path) -> bytes:
    import soundfile

    soundfile.write(path, TONE, RATE)
    return path.read_bytes()


def write_soundfile_in_parts(path: Path) -> bytes:
    import soundfile

    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        file.write(TONE[:100])
        file.write(TONE[100:])
    return path.read_bytes()


def write_wave(path: Path) -> bytes:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(PCM[:100])
        file.writeframesraw(PCM[100:])
    return path.read_bytes()


def write_scipy(path: Path) -> bytes:
    sys.modules["scipy.io.wavfile"].write(path, RATE, WAV)
    return path.read_bytes()


def save_torchaudio(path: Path) -> bytes:
    sys.modules["torchaudio"].save(uri=path, src=WAV, sample_rate=RATE)
    return path.read_bytes()


def export_pydub(path: Path) -> bytes:
    from pydub import AudioSegment

    with AudioSegment(PCM, sample_width=2, frame_rate=RATE, channels=1).export(path, "wav"):
        pass
    return path.read_bytes()


def run_ffmpeg(path: Path) -> bytes:
    program = path.parent / "ffmpeg"
    subprocess.run([program, "-i", "-", str(path)], input=WAV, check=True)
    return path.read_bytes()


def fail_in_ffmpeg(path: Path) -> Any:
    return subprocess.run([path.parent / "ffmpeg", "fails", str(path)], input=WAV, check=True)


def fail_in_soundfile(path: Path) -> Any:
    return write_soundfile(path.parent / "none" / "a.wav")


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a program of the name of an encoder; modules that need not be here have stand-ins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub imports audioop, which leaves in Python 3.13
        import pydub.audio_segment  # noqa: F401
    import soundfile  # noqa: F401

    place(monkeypatch, "scipy.io.wavfile", write=lambda filename, rate, data: filename.write_bytes(data))
    place(monkeypatch, "torchaudio", save=lambda uri, src, sample_rate: uri.write_bytes(src))
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\n[ "$1" = fails ] && exit 3\ncat > "$3"\n')
    program.chmod(0o755)
    watch_postprocess()
    return tmp_path


def place(monkeypatch: pytest.MonkeyPatch, name: str, **parts: Any) -> Any:
    module = ModuleType(name)
    vars(module).update(parts)
    monkeypatch.setitem(sys.modules, name, module)
    return module


WRITERS = (write_soundfile, write_soundfile_in_parts, write_wave, write_scipy, save_torchaudio, export_pydub,
           run_ffmpeg, fail_in_ffmpeg, fail_in_soundfile)  # fmt: skip


@pytest.mark.parametrize("write", WRITERS)
def test_writing_files(world: Any, encoders: Path, write: Callable[[Path], bytes]) -> None:
    seen = world()

    def inside() -> Any:
        with otel_tts.synthesis("m"):
            return write(encoders / "a.wav")

    def after() -> Any:
        token = request.current.set(request.Request("r", time.perf_counter_ns()))
        try:
            with otel_tts.synthesis("m"):
                pass
            return write(encoders / "b.wav")
        finally:
            request.current.reset(token)

    noted = FILES if write is not fail_in_soundfile else ()
    check(lambda: [outcome(inside), outcome(after)], only=("encoders", "delivered.current", *noted))
    seen.drain()


def test_encoding_in_memory(world: Any, encoders: Path) -> None:
    seen = world()

    def encode() -> bytes:
        import soundfile

        with otel_tts.synthesis("m"):
            soundfile.write(buffer := io.BytesIO(), TONE, RATE, format="WAV")
            with wave.open(more := io.BytesIO(), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes(PCM)
        return buffer.getvalue() + more.getvalue()

    check(lambda: [outcome(encode)], only=("encoders._written", "delivered._note", "excerpt", "files.encode"))
    seen.drain()


def test_answering_with_audio(world: Any, encoders: Path) -> None:
    from starlette.responses import FileResponse, Response, StreamingResponse

    seen = world()
    every.instrument_tasks()
    write_wave(encoders / "a.wav")
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.5"}}

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    def ask(make: Callable[[], Any]) -> Any:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append({key: value for key, value in message.items() if key != "headers"})

        async def app(self: Any, *call: Any) -> None:
            with otel_tts.synthesis("m") as synthesis:
                synthesis.audio(TONE, RATE)
            await make()(*call)

        asyncio.run(asgi.with_edge(app)(None, dict(scope), receive, send))
        return sent

    answers = (
        lambda: Response(WAV, media_type="audio/wav"),
        lambda: StreamingResponse(iter([WAV[:100], WAV[100:]]), media_type="audio/wav"),
        lambda: FileResponse(encoders / "a.wav"),
    )
    check(lambda: [outcome(partial(ask, make)) for make in answers], only=("answer_audio", "excerpt"))
    seen.drain()


def test_a_trailer_behind_an_answer(world: Any) -> None:
    seen = world()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/speaks":
            with otel_tts.synthesis("m"):
                pass
        audio = [(b"content-type", b"audio/wav")] if scope["path"] != "/text" else []
        await send({"type": "http.response.start", "status": 200, "headers": audio})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    edge = asgi.with_edge(lambda self, *call: app(*call))
    scope = {
        "type": "http", "method": "GET", "headers": [(b"te", b"deflate, trailers")], "asgi": {"spec_version": "2.5"},
        "extensions": {"http.response.trailers": {}},
    }  # fmt: skip

    def ask(path: str) -> bytes:
        """The body: a fault may cost the trailer, but never one of its two parts alone."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(edge(app, {**scope, "path": path}, None, send))
        parts = sent[0].get("trailers", False), sent[-1]["type"] == "http.response.trailers"
        assert parts in ((True, True), (False, False))
        return b"".join(message.get("body", b"") for message in sent)

    calls = [partial(ask, path) for path in ("/speaks", "/audio", "/text")]
    check(lambda: [outcome(call) for call in calls], only=("trailer",))
    seen.drain()


def test_serving_a_request(world: Any) -> None:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    seen = world()
    app = Starlette(routes=[Route("/{x}", lambda _: Response(b"x"))])
    edge = asgi.with_edge(lambda self, *call: app(*call))
    headers = [(b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    scope = {"type": "http", "method": "GET", "path": "/a", "headers": headers, "asgi": {"spec_version": "2.5"}}

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    def ask() -> Any:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append({key: value for key, value in message.items() if key != "headers"})

        asyncio.run(edge(app, dict(scope), receive, send))
        seen.drain()
        return sent

    check(lambda: [outcome(ask)], only=("serving", "asgi_span", "server.", "server_metrics"))


# --- engines: loading, callbacks, compiling, imports ------------------------------------------------------------------

VOICE = """
    import numpy as np

    class Voice:
        def __init__(self, path):
            if path == "bad":
                raise OSError(path)
            self.path = path

        @classmethod
        def load(cls, path):
            return cls(path)

        @classmethod
        async def fetch(cls, path):
            return cls(path)

    def speak(path, voice=None):
        return np.full(10, len(Voice.load(path).path), np.float32)
"""


def test_loading_a_model(world: Any, module: Callable[[str], str]) -> None:
    name = module(VOICE)
    watch(
        Engine(
            "made", name, "", (Entry("speak", sample_rate=RATE),),
            load=("Voice.__init__", Load("Voice.load", unless=lambda call: call.arguments["path"] == "known", note=id),
                  "Voice.fetch"),
        )
    )  # fmt: skip
    seen, made = world(), importlib.import_module(name)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: made.Voice("a").path,
        lambda: made.Voice.load("a").path,
        lambda: made.Voice.load("known").path,
        lambda: made.Voice.load("bad"),
        lambda: made.Voice.load(),
        lambda: made.speak("abc").tobytes(),
        lambda: made.speak("bad"),
        lambda: asyncio.run(made.Voice.fetch("a")).path,
        lambda: asyncio.run(made.Voice.fetch("bad")),
    )
    check(lambda: [outcome(call) for call in calls], only=("load", "tables._call_of", "synthesis.mark_cold"))
    seen.drain()


TELLER = """
    import numpy as np

    class Style:
        pass

    def voice(name):
        return [Style(), Style()] if name == "both" else Style()

    def generate(end, limit):
        if end < 0:
            raise ValueError("bad")
        return list(range(min(end, limit)))

    def speak(text, style=None, end=3, limit=8):
        return np.full(len(generate(end, limit)) + 1, 0.5, np.float32)
"""


def test_what_a_table_is_told_before_and_after(world: Any, module: Callable[[str], str]) -> None:
    name = module(TELLER)
    watch(
        Engine(
            "made", name, "",
            (Entry("speak", sample_rate=RATE, voice=lambda call: kept.kept(call.arguments.get("style"))),),
            seams=(Seam("generate", "acoustic_model", finish=lambda call, codes, items: Finish(steps=len(codes))),),
            keeps=(Keep("voice", "name"),),
        )
    )  # fmt: skip
    seen, made = world(), importlib.import_module(name)

    async def on_the_loop() -> bytes:
        return made.speak("a", made.voice("anna")).tobytes()

    calls: tuple[Callable[[], Any], ...] = (
        lambda: made.speak("a", made.voice("both")[0]).tobytes(),
        lambda: made.speak("a", end=-1),
        lambda: asyncio.run(on_the_loop()),
    )
    check(lambda: [outcome(call) for call in calls], only=("keep.", "ending.", "on_loop."))
    seen.drain()


FRONT = """
    import numpy as np

    class Answer:
        def __init__(self, body, status_code=200):
            self.body_iterator, self.status_code = body, status_code

    class Made:
        pass

    async def prepare(text):
        return "id", Made(), {}

    async def submit(text, trace_headers=None):
        pass

    def pieces(text):
        for letter in text:
            yield np.full(10, 0.5, np.float32)

    async def handle(text, status=200):
        await prepare(text)
        await submit(text)
        return Answer(pieces(text) if status == 200 else [], status)
"""


def test_a_web_servers_handler(world: Any, module: Callable[[str], str]) -> None:
    def refused(answer: Any) -> int | None:
        return answer.status_code if answer.status_code >= 400 else None

    name = module(FRONT)
    watch(
        Engine(
            "made", name, "",
            (Entry("handle", sample_rate=RATE, body="body_iterator", error=refused),),
            seams=(
                Seam("submit", "submit", headers="trace_headers", before="text",
                     finish=lambda call, result, items: Finish(len(call.before))),
            ),
            keeps=(Keep("prepare", "text"),),
        )
    )  # fmt: skip
    seen, made = world(), importlib.import_module(name)

    def heard(status: int) -> Any:
        answer = asyncio.run(made.handle("abc", status))
        return answer.status_code, [piece.tobytes() for piece in answer.body_iterator]

    told = (
        "keep.",
        "entry._rest_of",
        "seam._with_headers",
        "seam._plan",
        "delivery._look_for_error",
        "synthesis.refuse",
    )
    check(lambda: [outcome(lambda: heard(200)), outcome(lambda: heard(404))], only=told)
    seen.drain()


STREAMER = """
    import numpy as np

    def speak(text, callback=None):
        pieces = []
        for letter in text:
            pieces.append(np.full(10, ord(letter) / 128, np.float32))
            if callback is not None and callback(pieces[-1], len(pieces)) == 0:
                break
        return b"".join(piece.tobytes() for piece in pieces)
"""


def test_streaming_by_callback(world: Any, module: Callable[[str], str]) -> None:
    name = module(STREAMER)
    callback = Callback("callback", stops=lambda answer, *given: answer == 0)
    watch(Engine("made", name, "", (Entry("speak", sample_rate=RATE, chunk=Chunk(), callback=callback),)))
    seen, made = world(), importlib.import_module(name)

    def heard(stop_after: int, **how: Any) -> tuple[bytes, list[bytes]]:
        got: list[bytes] = []

        def take(samples: Any, number: int) -> int:
            got.append(samples.tobytes())
            return int(number < stop_after)

        return (made.speak("hello", callback=take) if how else made.speak("hello", take)), got

    def refuse(samples: Any, number: int) -> int:
        raise KeyError("mine")

    calls = (partial(heard, 9), partial(heard, 2, named=True), partial(made.speak, "hello", refuse),
             partial(made.speak, "hello"))  # fmt: skip
    check(lambda: [outcome(call) for call in calls])
    seen.drain()


COMPILED = """
    class CompilationCallbackHandler:
        def run_start_callbacks(self, reason):
            return reason
"""


def test_compiling_inside_a_request(world: Any, module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    handler = importlib.import_module(module(COMPILED)).CompilationCallbackHandler
    place(monkeypatch, "torch._dynamo.callback", CompilationCallbackHandler=handler)
    watch_compiling()
    seen = world()

    def compile_there() -> bytes:
        with otel_tts.synthesis("m"):
            handler().run_start_callbacks("theirs")
        return handler().run_start_callbacks("theirs").encode()

    def fail() -> None:
        with otel_tts.synthesis("m"):
            handler().run_start_callbacks()

    check(
        lambda: [outcome(compile_there), outcome(fail)],
        only=("torch_compile", "synthesis.mark_cold", "synthesis.current"),
    )
    seen.drain()


def test_capturing_a_graph() -> None:
    class Graph:
        def capture_begin(self, mode: str = "global") -> str:
            if mode == "bad":
                raise RuntimeError("theirs")
            return mode

        def capture_end(self) -> str:
            return "ended"

    CaptureGuard().watch(Graph)

    def capture() -> list[str]:
        graph = Graph()
        return [graph.capture_begin(), graph.capture_end()]

    check(lambda: [outcome(capture), outcome(lambda: Graph().capture_begin("bad"))], only=("graphs",))


def test_asking_torch_for_its_peaks() -> None:
    device = FakeCuda()
    torch = FakeTorch(device)
    windows = PeakWindows(TorchAllocator(torch), 0)
    peak_statistics.install(torch, lambda index: windows)

    def ask(*which: Any) -> int:
        torch.cuda.reset_peak_memory_stats(*which)
        return torch.cuda.max_memory_allocated(*which)

    try:
        check(lambda: [outcome(ask), outcome(partial(ask, 0)), outcome(partial(ask, "cuda:0"))], only=("peak_stat",))
    finally:
        peak_statistics.uninstall()


PATCHES = ("patches.after", "patches.look", "patches.put", "patches.found", "patches.is_", "patches._", "patches.<")
EVERYTHING = """
    import threading

    lock = threading.Lock()

    class Request:
        text = None

    class Speaker:
        def __init__(self):
            self.steps = []

        def frontend(self, text):
            return text.upper()

        def progress(self, stage):
            self.steps.append(stage)

        def say(self, text):
            self.progress("codes")
            job = Request()
            job.text = text
            with lock:
                return self.frontend(job.text).encode()
"""


def test_importing_what_is_hooked(world: Any, module: Callable[[str], str]) -> None:
    name = module(EVERYTHING)
    table = Engine(
        "made", name, "", (Entry("Speaker.say", chunk=None),),
        (Seam("Speaker.frontend", "text_frontend", job="Request.text"), Seam("Speaker.gone", "vocoder", optional=True),
         Seam("Speaker.lost", "vocoder")),
        marks=(Mark("Speaker.progress", "acoustic_model"),), locks=("lock", "no_lock"), load=("Speaker.__init__",),
    )  # fmt: skip
    marked = Engine("other", name, "", (Entry("Speaker.say", chunk=None),), only_with="Speaker.progress")
    seen = world()

    def import_it() -> bytes:
        sys.modules.pop(name, None)
        for engine in (table, marked):
            guard.contain("engine", watch, engine)
        return importlib.import_module(name).Speaker().say("hello")

    def run() -> list[Any]:
        undo(HOOKS)
        return [outcome(import_it)]

    check(run, only=("tables._w", "tables._has", "tables._place", "tables.watch", "tables.spellings",
                     "tables.split", "table.installed", "job.place", "job._can", "job._exists",
                     "wrapping.", *PATCHES, "lock.place", "lock._seen", "callables.hook",
                     "callables._may"))  # fmt: skip
    seen.drain()


# --- a page's queue ---------------------------------------------------------------------------------------------------


def test_jobs_of_a_page(world: Any, gradio: Callable[..., Any]) -> None:
    seen = world(gradio_progress=True)
    module = gradio()
    function = Function(speak_in(seen))

    def fail() -> None:
        speak_in(seen)()
        raise RuntimeError("theirs")

    async def push(queue: Any, what: Function, session: str) -> Any:
        answer = await queue.push(body(what, session), None, None)
        return answer, queue.event_queue_per_concurrency_id["a"].queue[-1]

    async def serve() -> list[Any]:
        queue = module.Queue()
        queue.max_size = 3
        said = []
        answer, event = await push(queue, function, "one")
        refused = [(await push(queue, function, session))[0] for session in ("two", "gone", "refused")]
        await queue.clean_events(session_hash="gone")
        await work(queue, event)
        await work(queue, queue.event_queue_per_concurrency_id["a"].queue[0])
        batch = [(await push(queue, function, session))[1] for session in "xy"]
        await work(queue, *batch)
        _, broken = await push(queue, Function(fail, "fails"), "broken")
        await work(queue, broken)
        said += [answer, *refused, len(queue.event_queue_per_concurrency_id["a"].queue), queue.active_jobs]
        return [*said, queue.shown]

    def serve_in_a_request() -> list[Any]:
        token = request.current.set(request.Request("r", time.perf_counter_ns()))
        try:
            return asyncio.run(serve())
        finally:
            request.current.reset(token)

    def cancel() -> Any:
        async def stop() -> None:
            raise asyncio.CancelledError

        async def run() -> None:
            queue, given_up = module.Queue(), Function(lambda: None)
            given_up.fn = stop
            _, event = await push(queue, given_up, "one")
            await work(queue, event)

        try:
            asyncio.run(run())
        except asyncio.CancelledError:
            return "cancelled"

    check(lambda: [outcome(serve_in_a_request), outcome(cancel)], only=("gradio", "queued_job"))
    seen.drain()


def test_the_id_in_the_progress_of_a_page(world: Any, gradio: Callable[..., Any]) -> None:
    """What a fault may cost is the id."""
    world(gradio_progress=True)
    module = gradio()

    def show() -> list[str]:
        queue, token = module.Queue(), request.current.set(request.Request("r-1", 0))
        try:
            queue.set_progress("event", [SimpleNamespace(desc="half"), SimpleNamespace(desc="more")])
            queue.set_progress("event", [])
        finally:
            request.current.reset(token)
        return [text.removesuffix(" · r-1") for text in queue.shown]

    def fail() -> None:
        module.Queue().set_progress()

    check(lambda: [outcome(show), outcome(fail)], only=("gradio",))


def test_requests_of_a_page(gradio: Callable[..., Any]) -> None:
    gradio()
    page: Any = type("App", (), {"__module__": "gradio.routes"})()
    page.blocks = SimpleNamespace(pages=[("", "Home")])

    async def send(message: Any) -> None:
        sent.append(message["status"])

    class App:
        router = SimpleNamespace(routes=[SimpleNamespace(path="/page", app=page)])

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": len(scope["path"]), "headers": []})

    sent: list[int] = []
    edge = asgi.with_edge(App.__call__)

    def ask() -> list[int]:
        sent.clear()
        app = App()
        for path in ("/page/config", "/page/gradio_api/queue/join", "/other"):
            scope = {"type": "http", "method": "POST", "path": path, "headers": []}
            asyncio.run(edge(app, scope, None, send))
        return list(sent)

    check(lambda: [outcome(ask)], only=("gradio", "asgi._"))


# --- processes and pools ----------------------------------------------------------------------------------------------


def reverse(text: str) -> str:
    if not text:
        raise ValueError("no text")
    return text[::-1]


def test_handing_over_to_processes(world: Any) -> None:
    """The parent's side, with what is pickled read here again, and the child's before the work."""
    seen = world()

    def submit(call: Callable[..., Any], *args: Any) -> Any:
        there, given = pickle.loads(pickle.dumps((call, args)))
        return there(*given)

    def in_an_executor(text: str) -> Any:
        return carrier._submit_to_process(submit, None, (reverse, text), {})

    def in_a_process(text: str) -> Any:
        process = SimpleNamespace(_target=reverse, _config={})
        carrier._start_process(lambda: None, process, (), {})
        child = SimpleNamespace(_config=pickle.loads(pickle.dumps(process._config)))
        return contextvars.Context().run(carrier._begin_process, reverse, child, (text,), {})

    def ask(way: Callable[[str], Any], text: str) -> Any:
        with otel_tts.synthesis("m"):
            return way(text)

    calls = [partial(ask, way, text) for way in (in_an_executor, in_a_process) for text in ("hello", "")]
    check(lambda: [outcome(call) for call in calls], only=("threads", "carried"))
    seen.drain()


@pytest.fixture
def pools() -> Iterator[Any]:
    """A pool of one process and one of one thread, both older than any request."""
    carrier.install()
    with multiprocessing.get_context("fork").Pool(1) as processes, multiprocessing.pool.ThreadPool(1) as threads:
        yield processes, threads
    for pool in (processes, threads):
        pool.join()
    carrier.uninstall()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_handing_over_to_pools(world: Any, pools: Any) -> None:
    seen = world()

    def ask(pool: Any, texts: list[str]) -> Any:
        with otel_tts.synthesis("m"):
            return pool.map(reverse, texts), list(pool.imap(reverse, texts)), pool.apply(reverse, texts[:1])

    calls = [partial(ask, pool, texts) for pool in pools for texts in (["hello", "you"], [""])]
    check(lambda: [outcome(call) for call in calls], only=("carried",))
    seen.drain()


# --- the web and its log lines ----------------------------------------------------------------------------------------


def test_a_page_inside_an_instrumented_app(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The middleware of the contrib instrumentation, around an app and around what is mounted in it."""
    seen = world(processors=(serving.RequestSpans(),))
    monkeypatch.setattr(OpenTelemetryMiddleware, "__call__", OpenTelemetryMiddleware.__call__)
    fastapi.patch(sys.modules[OpenTelemetryMiddleware.__module__])
    hook = fastapi.options()["server_request_hook"]
    around = partial(OpenTelemetryMiddleware, tracer_provider=seen.tracers, server_request_hook=hook)

    def fail(web: Any) -> Any:
        raise KeyError("theirs")

    page = around(Starlette(routes=[Route("/speak", lambda web: Response(PCM)), Route("/fails", fail)]))

    async def mount(scope: Any, receive: Any, send: Any) -> None:
        await page({**scope, asgi_scope.MOUNTED: True, "root_path": "/page"}, receive, send)

    app = around(mount)
    edge = asgi.with_edge(lambda self, *call: app(*call))

    def ask(path: str, **more: Any) -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append((message["type"], message.get("status"), message.get("body")))

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "query_string": b"", "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
            **more,
        }  # fmt: skip
        asyncio.run(edge(None, scope, None, send))
        return sent

    calls = (
        partial(ask, "/page/speak"),
        partial(ask, "/page/fails"),
        partial(ask, "/page/speak", **{asgi_scope.QUIET: True}),
    )
    check(lambda: [outcome(call) for call in calls], only=("fastapi", "asgi"))


class Lines(logging.Handler):
    """Keeps lines as an application's own format shows them, without the ids, which a fault may cost."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_log_lines(world: Any) -> None:
    world()
    log_lines.instrument()
    logger, kept = logging.getLogger("test.faults"), Lines()
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers[:] = [kept, LoggingHandler(logger_provider=LoggerProvider(shutdown_on_exit=False))]

    def log(*args: Any) -> list[str]:
        kept.lines.clear()
        with otel_tts.synthesis("m"):
            logger.info("text %s", *args, extra={"mine": 1})
        token = request.current.set(request.Request("r", 0))
        logger.info("more")
        request.current.reset(token)
        logger.handlers[1].flush()
        return list(kept.lines)

    def fail() -> None:
        logger.info("text", extra={"message": "not allowed"})

    try:
        check(lambda: [outcome(partial(log, 7)), outcome(fail)], only=("logging",))
    finally:
        logger.handlers.clear()
        log_lines.uninstrument()


def test_log_lines_that_stand_aside(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world()
    logger, kept = logging.getLogger("test.faults.aside"), Lines()
    monkeypatch.setattr(
        logging.getLogger(), "handlers", [kept, LoggingHandler(logger_provider=LoggerProvider(shutdown_on_exit=False))]
    )
    log_handler.step_aside()

    def log() -> list[str]:
        kept.lines.clear()
        logger.warning("text %s", 7)
        return [line for line in kept.lines if "otel-tts" not in line]

    try:
        check(lambda: [outcome(log)], only=("log_handler._",))
    finally:
        log_handler.forget()


def test_log_lines_of_loguru(world: Any) -> None:
    from loguru import logger

    world()
    lines: list[str] = []

    def log() -> list[str]:
        lines.clear()
        loguru.instrument()
        logger.remove()
        number = logger.add(lambda message: lines.append(str(message)), format="{level} {message}", catch=False)
        token = request.current.set(request.Request("r", 0, offered="o"))
        try:
            logger.bind(mine=1).info("text {}", 7)
            raise ValueError
        except ValueError:
            logger.opt(exception=True).error("failed")
        finally:
            request.current.reset(token)
            logger.remove(number)
            guard.contain("loguru", loguru.uninstrument)
        return [line.splitlines()[0] for line in lines]

    try:
        check(lambda: [outcome(log)], only=("loguru._", "loguru.sink", "loguru.no_text", "loguru.is_to"))
    finally:
        loguru.uninstrument()
        logger.remove()


LATE = """
    class Starlette:
        async def __call__(self, scope, receive, send):
            await send(scope["type"])

    class LoggingHandler:
        def emit(self, record):
            pass

        def flush(self):
            pass
"""


def test_importing_a_web_framework_and_a_log_handler(
    module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = module(LATE)
    monkeypatch.setattr(every, "WEB", {"asgi": (name,)})
    monkeypatch.setattr(log_lines, "_HANDLER_MODULE", name)

    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message)

    def import_it() -> Any:
        sys.modules.pop(name, None)
        sent.clear()
        guard.contain("asgi", every.instrument)
        guard.contain("logging", log_lines.instrument)
        try:
            made = importlib.import_module(name)
            made.LoggingHandler().emit(logging.makeLogRecord({}))
            asyncio.run(made.Starlette()({"type": "other"}, None, send))
            return list(sent)
        finally:
            log_lines.uninstrument()
            every.uninstrument()

    check(
        lambda: [outcome(import_it)],
        only=("logging._adopt", "asgi.patch", *PATCHES),
    )


# --- no hook without a fault ------------------------------------------------------------------------------------------

_ANY_LINE = "test_faults_injected.py::test_a_fault_at_any_line_changes_no_audio_and_no_exception"

CHECKED = {
    "recording.batch": "test_form.py::test_a_fault_at_any_line_changes_nothing_of_a_worker_a_lock_a_batch",
    "instrumentation.libraries.threads": "test_faults_everywhere.py::test_handing_over_to_pools",
    "recording.carried": "test_faults_everywhere.py::test_handing_over_to_processes",
    "recording.streaming": _ANY_LINE,
    "device.memory.peak_statistics": "test_faults_everywhere.py::test_asking_torch_for_its_peaks",
    "device.torch.graphs": "test_faults_everywhere.py::test_capturing_a_graph",
    "instrumentation.edges.answer": "test_faults_injected.py::test_answers_of_a_web_service",
    "instrumentation.edges.answer_audio": "test_faults_everywhere.py::test_answering_with_audio",
    "instrumentation.edges.asgi_span": "test_faults_everywhere.py::test_serving_a_request",
    "instrumentation.edges.trailer": "test_faults_everywhere.py::test_a_trailer_behind_an_answer",
    "instrumentation.edges.serving": "test_faults_everywhere.py::test_serving_a_request",
    "instrumentation.edges.task": "test_faults_tasks.py::test_tasks_of_celery",
    "instrumentation.edges.celery": "test_faults_tasks.py::test_tasks_of_celery",
    "instrumentation.edges.rq": "test_faults_tasks.py::test_jobs_of_rq",
    "instrumentation.edges.dramatiq": "test_faults_tasks.py::test_messages_of_dramatiq",
    "instrumentation.edges.wyoming": "test_faults_tasks.py::test_clients_of_wyoming",
    "instrumentation.edges.litserve": "test_faults_tasks.py::test_requests_of_litserve",
    "instrumentation.edges.ray": "test_faults_tasks.py::test_requests_to_a_replica_of_ray",
    "instrumentation.libraries.pipecat": "test_faults_tasks.py::test_a_service_of_pipecat",
    "instrumentation.edges.grpc": "test_faults_tasks.py::test_calls_of_grpc",
    "instrumentation.edges.asgi": "test_faults_injected.py::test_answers_of_a_web_service",
    "instrumentation.edges.arrival": "test_faults_edges.py::test_answers_of_a_wsgi_application",
    "instrumentation.edges.wsgi": "test_faults_edges.py::test_answers_of_a_wsgi_application",
    "instrumentation.edges.wsgi_answer": "test_faults_edges.py::test_answers_of_a_wsgi_application",
    "instrumentation.edges.wsgi_span": "test_faults_edges.py::test_answers_of_a_wsgi_application",
    "instrumentation.edges.exchange": "test_faults_edges.py::test_answers_of_a_wsgi_application",
    "instrumentation.edges.peer": "test_faults_edges.py::test_answers_of_a_wsgi_application",
    "instrumentation.edges.frameworks": "test_faults_edges.py::test_what_frameworks_know",
    "instrumentation.edges.contrib": "test_faults_edges.py::test_another_that_makes_the_span",
    "instrumentation.edges.asgi_servers": "test_faults_edges.py::test_an_application_that_only_its_server_knows",
    "instrumentation.edges.aiohttp": "test_faults_edges.py::test_answers_of_aiohttp",
    "instrumentation.edges.tornado": "test_faults_edges.py::test_answers_of_tornado",
    "instrumentation.edges.sanic": "test_faults_edges.py::test_answers_of_sanic",
    "instrumentation.edges.http_server": "test_faults_edges.py::test_answers_of_the_standard_librarys_server",
    "instrumentation.libraries.torch_compile": "test_faults_everywhere.py::test_compiling_inside_a_request",
    "recording.delivered": "test_faults_everywhere.py::test_writing_files",
    "instrumentation.calls.entry": _ANY_LINE,
    "instrumentation.calls.delivery": _ANY_LINE,
    "instrumentation.calls.facts": _ANY_LINE,
    "instrumentation.calls.plan": _ANY_LINE,
    "instrumentation.calls.ending": "test_faults_everywhere.py::test_what_a_table_is_told_before_and_after",
    "instrumentation.calls.keep": "test_faults_everywhere.py::test_what_a_table_is_told_before_and_after",
    "instrumentation.calls.on_loop": "test_faults_everywhere.py::test_what_a_table_is_told_before_and_after",
    "instrumentation.edges.fastapi": "test_faults_everywhere.py::test_a_page_inside_an_instrumented_app",
    "instrumentation.libraries.gradio": "test_faults_everywhere.py::test_jobs_of_a_page",
    "instrumentation.tables": "test_faults_everywhere.py::test_importing_what_is_hooked",
    "instrumentation.wrapping": "test_faults_everywhere.py::test_importing_what_is_hooked",
    "patches": "test_faults_everywhere.py::test_importing_what_is_hooked",
    "instrumentation.libraries.queued_job": "test_faults_everywhere.py::test_jobs_of_a_page",
    "instrumentation.calls.load": "test_faults_everywhere.py::test_loading_a_model",
    "instrumentation.calls.lock": "test_form.py::test_a_fault_at_any_line_changes_nothing_of_a_worker_a_lock_a_batch",
    "instrumentation.libraries.log_handler": "test_faults_everywhere.py::test_log_lines_that_stand_aside",
    "instrumentation.libraries.logging": "test_faults_everywhere.py::test_log_lines",
    "instrumentation.libraries.loguru": "test_faults_everywhere.py::test_log_lines_of_loguru",
    "instrumentation.libraries.onnxruntime": "test_faults_injected.py::test_running_a_session_of_onnxruntime",
    "instrumentation.libraries.encoders": "test_faults_everywhere.py::test_writing_files",
    "instrumentation.calls.mark": "test_stage_clock.py::test_a_fault_in_the_clock_changes_no_audio",
    "instrumentation.callables": "test_faults_everywhere.py::test_importing_what_is_hooked",
    "instrumentation.calls.arguments": _ANY_LINE,
    "instrumentation.calls.seam": _ANY_LINE,
    "instrumentation.calls.job": "test_form.py::test_a_fault_at_any_line_changes_nothing_of_a_worker_a_lock_a_batch",
}
"""What stands between the application and its own calls, and where it fails at every line."""

EXEMPT = {
    "distro.console_warnings": "what it does after logging was set up is contained as a whole",
    "distro.distro": "calls no hook but those of other packages, at start or after an import, contained as a whole",
    "distro.shutdown": "works when the process ends; what multiprocessing's import calls is contained as a whole",
    "instrumentation.edges.asgi_scope": "has nothing that is called",
    "instrumentation.edges.ending": "calls what is given to it for the end, contained as a whole",
    "instrumentation.edges.every": "sets the hooks of the edges, each of them contained",
    "instrumentation.instrumentor": "sets the hooks of the others, each of them contained",
}
"""What hooks and is in no check of its own, and why that is enough."""

_SETS_HOOKS = re.compile(r"register_post_import_hook|after_import|from otel_tts.patches import .*(put|replace|wrap)")


def hooking_modules() -> set[str]:
    """The modules that a hook may run through by their place, and all others that set one."""
    found = {"recording.batch", "recording.carried", "recording.streaming", "recording.delivered"}
    for path in Path(PACKAGE).rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        inside = name.startswith("instrumentation.")
        if path.name != "__init__.py" and (inside or _SETS_HOOKS.search(path.read_text())):
            found.add(name)
    return found


def test_every_module_that_hooks_fails_in_some_test() -> None:
    assert hooking_modules() == {*CHECKED, *EXEMPT} and not CHECKED.keys() & EXEMPT.keys()
    for module, where in CHECKED.items():
        file, _, test = where.partition("::")
        text = Path(__file__).with_name(file).read_text()
        body_of = re.search(rf"^def {test}\(.*?(?=^def |^# ---|\Z)", text, re.M | re.S)
        assert body_of and re.search(r"check\(|faulty", body_of[0]), f"{module}: {where} is gone or fails nothing"
