# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service that speaks some thousand times, well and badly, and ends: `otel-tts run -- python speaking.py`.

An engine of the usual kind behind FastAPI (hibari, which needs no GPU), and code of its own on a device that is not
there: torch and NVML are those of tests/same and tests/unit/gpu, on the real clock. `PLAN` says how often what happens.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PLAN = {
    "hibari": 160,  # through FastAPI: requests of the table's engine
    "fine": 1500,  # own code on the device
    "streamed": 60,
    "silent": 40,
    "clipped": 30,
    "out of memory": 12,
    "broken": 48,  # RuntimeError
    "rejected": 25,  # HTTPException 429
    "cancelled": 15,
    "slow": 40,  # over three seconds in the acoustic model
    "fallen": 20,  # on the CPU after the device
}
SERVICE, OWN, MODEL, VOICES = "speaking", "own", "IndexTTS-2", ("alice", "bob")
RATE = 16_000
GPU = "GPU-00000000-0000-0000-0000-000000000001"
SLOW_SECONDS = 3.2
ERRORS = {
    "broken": "RuntimeError",
    "out of memory": "torch.OutOfMemoryError",
    "rejected": "fastapi.exceptions.HTTPException",
}
FAILED = ("silent", *ERRORS)
ANOMALIES = {"silent": ("silent",), "clipped": ("clipped", "clicks")}


def _speak() -> None:
    import fastapi
    import httpx
    import numpy as np
    from fastapi.responses import Response
    from hibari import Hibari

    import otel_tts
    from tests.same import device

    device.clock = RealClock()
    stream, allocator = device.install()
    allocator.take(2 << 30)
    gpu = Gpu()
    gpu.set(used=20 << 30)
    app, engine = fastapi.FastAPI(), Hibari()
    tone = (0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE // 2) / RATE)).astype(np.float32)
    lock, turn = threading.Lock(), iter(range(10**9))

    def own(kind: str, seconds: float = 0.0) -> None:
        """One synthesis of our own code; a kilobyte or a hundred of the device's memory stay behind each time."""
        number = next(turn)
        text = "word " * (4 + number % 40)
        with device.at_work(), otel_tts.synthesis(
            MODEL, engine=OWN, text=text, voice=VOICES[number % 3 % 2], request_id=f"{kind.replace(' ', '-')}-{number}"
        ) as s:  # fmt: skip
            s.set_attribute("what.was.said", text)  # is on no list: redacted
            if kind == "rejected":
                raise fastapi.HTTPException(429)
            with otel_tts.stage("queue", device="cpu"):
                time.sleep(0.0005)
            with otel_tts.stage("text_frontend", device="cpu"):
                time.sleep(0.0002)
            with lock if not seconds else open(os.devnull), otel_tts.stage("acoustic_model"):
                if kind != "fallen":
                    allocator.take((64 << 20) + 100_000)
                    stream.launch(0.002)
                    allocator.give_back(64 << 20)
                time.sleep(seconds or (0.05 if kind == "fallen" else 0.001))
                if kind == "out of memory":
                    allocator.take(device.CAPACITY)
                if kind == "cancelled":
                    raise asyncio.CancelledError
            with otel_tts.stage("vocoder"):
                stream.launch(0.001)
                if kind == "broken":
                    raise RuntimeError("a vocoder without a voice")
            if kind != "slow":
                stream.synchronize()
            with otel_tts.stage("postprocess", device="cpu"):
                sound = {"silent": 0 * tone, "clipped": np.clip(20 * tone, -1, 1)}.get(kind, tone)
            s.audio(sound, RATE)

    @otel_tts.synthesis("streamer", engine="streamed", text_argument="text", sample_rate=RATE)
    def streamed(text: str) -> Iterator[Any]:
        for _ in range(3):
            with otel_tts.stage("model", device="cpu"):
                time.sleep(0.001)
            yield tone
            time.sleep(0.0005)

    def guarded(kind: str, seconds: float = 0.0) -> None:
        try:
            own(kind, seconds)
        except (Exception, asyncio.CancelledError):
            pass

    @app.post("/speak")
    def speak(text: str) -> Response:
        return Response((32767 * engine(text)).astype("<i2").tobytes(), media_type="audio/pcm")

    @app.post("/own/{kind}")
    def own_route(kind: str) -> Response:
        own(kind)
        return Response(b"", media_type="audio/pcm")

    async def ask() -> None:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://speaking") as client:
            for number in range(PLAN["hibari"]):
                await client.post("/speak", params={"text": f"Ship number {number} sails at nine."})
            for kind in ("rejected", "broken"):
                for _ in range(PLAN[kind]):
                    await client.post(f"/own/{kind}")

    def each(*kinds: str) -> None:
        for kind in kinds:
            for _ in range(PLAN[kind]):
                guarded(kind)

    def stream_half() -> None:
        for _ in range(PLAN["streamed"] // 2):
            list(streamed("three sentences of some length"))

    # What a rate is asked of is said twice, since that needs two exports of a series.
    stream_half()
    for number in range(PLAN["fine"]):
        own("fine")
        if number == PLAN["fine"] // 2:
            gpu.set(used=60 << 30)
            time.sleep(EXPORT_EVERY)
    slow = [threading.Thread(target=guarded, args=("slow", SLOW_SECONDS)) for _ in range(PLAN["slow"] // 2)]
    for thread in slow:
        thread.start()
    asyncio.run(ask())
    each("silent", "clipped", "out of memory", "cancelled")
    stream_half()
    for thread in slow:
        thread.join()
    slow = [threading.Thread(target=guarded, args=("slow", SLOW_SECONDS)) for _ in range(PLAN["slow"] // 2)]
    for thread in slow:
        thread.start()
    for thread in slow:
        thread.join()
    each("fallen")
    time.sleep(2 * EXPORT_EVERY)


EXPORT_EVERY = float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "60000")) / 1000


class RealClock:
    """The fake device lives in real time: setting the clock forward is waiting."""

    @property
    def ns(self) -> int:
        return time.perf_counter_ns()

    @ns.setter
    def ns(self, until: int) -> None:
        time.sleep(max(0, until - time.perf_counter_ns()) / 1e9)


class Gpu:
    """The second device of NVML's stand-in; its virtual time, and with it its energy, goes on with the real one."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        self._library.nvmlstub_reset(2)
        self.set(power_mw=300_000, temp_c=71, gpu_util=64, reasons=0x4)
        self._library.nvmlstub_proc(1, os.getpid(), ctypes.c_ulonglong(18 << 30), 0xFFFFFFFF, 0xFFFFFFFF)
        threading.Thread(target=self._run, daemon=True).start()

    def set(self, **values: int) -> None:
        for key, value in values.items():
            assert self._library.nvmlstub_set(1, key.encode(), ctypes.c_ulonglong(value)) == 0, key

    def _run(self) -> None:
        while True:
            time.sleep(0.1)
            self._library.nvmlstub_advance_ms(ctypes.c_double(100.0))


if __name__ == "__main__":
    _speak()
