# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Speaks with edge-tts in each of its ways to a stand-in of the service; what is heard goes to the folder OUT."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from pathlib import Path
from typing import Any

from edge_service import Connector, leading, serving
from edge_tts import Communicate

TEXT = "Quincebread at dawnfall, whispers the brook."
VOICE = "en-GB-SoniaNeural"
LONG = "Quincebread at dawnfall. " * 400


async def hear(text: str = TEXT, port: int = 0, most: int = 10_000, voice: str = VOICE) -> list[bytes]:
    heard: list[bytes] = []
    async with contextlib.aclosing(Communicate(text, voice, connector=Connector(port)).stream()) as stream:
        async for item in stream:
            if item["type"] == "audio":
                heard.append(item["data"])
            if len(heard) == most:
                break
    return heard


async def failure(faults: list[str | None], text: str = TEXT, **options: Any) -> tuple[str, int]:
    """What comes of a call when the service does these wrong."""
    async with serving(faults=faults, **options) as (_, port):
        try:
            return "none", len(await hear(text, port))
        except Exception as error:
            return type(error).__name__, 0


async def speak(out: Path) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    async with serving() as (_, port):
        (out / "stream.mp3").write_bytes(b"".join(await hear(port=port)))
        with leading(port):
            sync = await asyncio.to_thread(lambda: list(Communicate(TEXT, VOICE).stream_sync()))
            (out / "sync.mp3").write_bytes(b"".join(item["data"] for item in sync if item["type"] == "audio"))
            await Communicate(TEXT, VOICE).save(str(out / "saved.mp3"))
            await asyncio.to_thread(Communicate(TEXT, VOICE).save_sync, str(out / "saved_sync.mp3"))
            long = [item async for item in Communicate(LONG, VOICE).stream() if item["type"] == "audio"]
            (out / "long.mp3").write_bytes(b"".join(item["data"] for item in long))
        first = await hear(port=port, most=1)
        (out / "left.mp3").write_bytes(first[0])
        both = await asyncio.gather(hear("One.", port), hear("Number two is longer.", port))
        seen["both"] = [len(b"".join(each)) for each in both]
        seen["blank"] = len(await hear("   ", port))
    for fault in ("empty", "drop", "abnormal", "path"):
        seen[fault] = await failure([fault])
    seen["late"] = await failure(["late"], delay=0.2)
    async with serving(faults=["403"]) as (_, port):
        with leading(port):  # the library closes a caller's connector with the first session
            again = [item async for item in Communicate(TEXT, VOICE).stream() if item["type"] == "audio"]
            seen["again"] = len(again)
    async with serving() as (_, port):
        pass
    with contextlib.suppress(Exception):
        await hear(port=port)
        seen["gone"] = "answered"
    with contextlib.suppress(ValueError):
        Communicate(TEXT, "nobodyknows")
        seen["nobody"] = "taken"
    return seen


if __name__ == "__main__":
    told = asyncio.run(speak(Path(sys.argv[2])))
    print(json.dumps(told | {"threads": threading.active_count() < 50}))
