# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""edge-tts: a service somewhere else speaks, over a WebSocket for each 4096 bytes of text, and sends MP3.

A connection that is lost after the first audio ends the stream as if all were well; what the library has not counted
yet tells it. The text is given to the constructor and used up by the stream: its length is kept from there.
"""

from __future__ import annotations

import re
from typing import Any

from otel_tts import names
from otel_tts.engines.kept import kept
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Keep, Seam, Stage

_VOICE = re.compile(r".*\(([a-z]{2,3}-[A-Za-z-]{2,16}), ([A-Za-z-]{1,40}Neural)\)")
"""What the library makes of a voice's short name."""


def _voice(call: Call) -> str | None:
    given = call.instance.tts_config.voice
    return f"{found[1]}-{found[2]}" if (found := _VOICE.fullmatch(given)) else given


def _language(call: Call) -> str | None:
    found = _VOICE.fullmatch(call.instance.tts_config.voice)
    return found[1] if found else None


def _characters(call: Call) -> int:
    return len(call.arguments["text"])


def _known_length(call: Call) -> int | None:
    return kept(call.instance)


def _source(call: Call) -> str:
    return "preset"


def _whose(call: Call) -> str:
    return "microsoft"


def _audio(item: Any) -> Any:
    return item["data"] if item["type"] == "audio" else None


def _finish(call: Call, item: Any, items: int) -> Finish | None:
    """Bytes that no end of a turn has settled: the connection was lost before it."""
    return Finish(reason="aborted" if call.instance.state["chunk_audio_bytes"] else "stop") if items else None


def _entry(target: str, kind: str) -> Entry:
    return Entry(
        target, text=None, chunk=Chunk(samples=_audio, encoding="mp3"), kinds=(kind,), voice=_voice, language=_language,
        finish=_finish,
        facts={names.TEXT_LENGTH: _known_length, names.VOICE_SOURCE: _source, names.PROVIDER: _whose},
    )  # fmt: skip


ENGINE = Engine(
    name="edge-tts",
    module="edge_tts.communicate",
    distribution="edge-tts",
    model="edge-tts",
    presets=frozenset(
        f"{voice}Neural"
        for voice in (
            "de-DE-Katja", "en-GB-Sonia", "en-US-Aria", "en-US-AvaMultilingual", "en-US-EmmaMultilingual",
            "en-US-Guy", "en-US-Jenny", "es-ES-Elvira", "fr-FR-Denise", "ja-JP-Nanami", "ko-KR-SunHi", "zh-CN-Xiaoxiao",
            "zh-CN-Xiaoyi", "zh-CN-Yunjian", "zh-CN-Yunxi", "zh-CN-Yunyang",
        )
    ),
    sample_rate=24000,
    channels=1,
    seconds_per_character=(0.01, 1.0),
    keeps=(Keep("Communicate.__init__", _characters),),
    entries=(_entry("Communicate.stream", "async generator"), _entry("Communicate.stream_sync", "generator")),
    seams=(Seam("Communicate._Communicate__stream", Stage.REMOTE, device="cpu", fold=True),),
)  # fmt: skip
