# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a voice may be called in telemetry: a preset by its name, a person's voice as a keyed hash.

The key is OTEL_TTS_HASH_KEY, else random for each process: then hashes tell voices apart within a process, mean
nothing outside it, and stay out of metric labels, where they would make new series with every process. With a key of
his, the operator may choose names for hashes (OTEL_TTS_VOICE_NAMES).
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Collection
from typing import Any, Final

from otel_tts import names
from otel_tts.emit.disk import Disk
from otel_tts.privacy.policy import let_voice
from otel_tts.recording.synthesis import Synthesis
from otel_tts.settings import Settings

MAX_FILE: Final = 64 * 1024 * 1024
"""Bytes of a reference file that are hashed; of a longer one the beginning and the size."""

_BLOCK: Final = 1024 * 1024
_MAX_CACHED: Final = 1024
_NAME: Final = b"otel-tts voice"
_FILE: Final = b"otel-tts file"

is_hash = re.compile(r"v-[0-9a-f]{16}").fullmatch
"""Whether a voice has been replaced by its hash already."""


class VoiceNames:
    """Names voices for telemetry. Safe from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._chosen = dict(pair.split("=", 1) for pair in settings.voice_names)
        self._public = frozenset((*settings.voices, *self._chosen.values()))
        self._stable = bool(settings.hash_key)
        key = settings.hash_key.encode() or secrets.token_bytes(32)
        # BLAKE2b takes keys of up to 64 bytes.
        self._key = key if len(key) <= 64 else hashlib.blake2b(key).digest()
        self._files: dict[tuple[str, int, int], str] = {}
        self._lock = threading.Lock()
        self.disk = Disk()
        for voice in self._public:
            let_voice(voice)

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._lock = threading.Lock()
        self.disk.renew()

    def name(self, voice: str, presets: Collection[str] = ()) -> tuple[str, str]:
        """Return how `voice` is called in traces and logs, and its metric label.

        Presets of the engine and the voices in OTEL_TTS_VOICES keep their names. Others are hashed, unless they are a
        hash already; a hash in OTEL_TTS_VOICE_NAMES gets the name that the operator chose.
        """
        if voice in self._public or voice in presets:
            let_voice(voice)
            return voice, voice
        hashed = voice if is_hash(voice) else self._hash(voice.encode("utf-8", "surrogatepass"), _NAME)
        if (chosen := self._chosen.get(hashed)) is not None:
            return chosen, chosen
        return hashed, hashed if self._stable else names.OTHER

    def hash_file(self, path: str | os.PathLike[str]) -> str | None:
        """Return the keyed hash of a file's bytes, or None where it cannot be read.

        Reads the file, so it belongs off the request's path. The result is kept while size and time stay the same.
        """
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return None
                key = (os.fspath(path), status.st_mtime_ns, status.st_size)
                if (known := self._files.get(key)) is not None:
                    return known
                hashed = self._hash_blocks(file, status.st_size)
        except (OSError, ValueError):
            return None
        with self._lock:
            if len(self._files) >= _MAX_CACHED:
                self._files.pop(next(iter(self._files)))
            self._files[key] = hashed
        return hashed

    def settle(self, synthesis: Synthesis) -> None:
        """Replace the voice that the call named by what may be exported. Doing it again changes nothing."""
        attrs: dict[str, Any] = synthesis.attrs
        voice: Any = attrs.get(names.VOICE)
        if voice is None:
            return
        if voice.__class__ is not str and isinstance(voice, os.PathLike):
            voice = os.fspath(voice)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if not isinstance(voice, str) or not voice:  # samples, an embedding: nothing that has a name
            del attrs[names.VOICE]
            return
        hashed = None
        if attrs.get(names.VOICE_SOURCE) == "reference" and not self.is_settled(voice):
            hashed = self.disk.ask(self.hash_file, voice)
        attrs[names.VOICE] = self.name(hashed or voice, _presets(synthesis))[0]

    def is_settled(self, voice: object) -> bool:
        """Whether a reference's voice has been replaced already, and is no path of a file any more."""
        return isinstance(voice, str) and (is_hash(voice) is not None or voice in self._chosen.values())

    def label(self, synthesis: Synthesis) -> str | None:
        """Return the metric label of a settled synthesis's voice, or None where none is known."""
        voice = synthesis.attrs.get(names.VOICE)
        return None if voice is None else self.name(voice, _presets(synthesis))[1]

    def _hash(self, data: bytes, purpose: bytes) -> str:
        digest = hashlib.blake2b(data, digest_size=8, key=self._key, person=purpose)
        return f"v-{digest.hexdigest()}"

    def _hash_blocks(self, file: Any, size: int) -> str:
        digest = hashlib.blake2b(digest_size=8, key=self._key, person=_FILE)
        left = MAX_FILE
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            digest.update(block)
            left -= len(block)
        if size > MAX_FILE:
            digest.update(str(size).encode())
        return f"v-{digest.hexdigest()}"


def _without_waiting(path: str, flags: int) -> int:
    """Open as ever, but a pipe without waiting for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _presets(synthesis: Synthesis) -> Collection[str]:
    return synthesis.engine.presets if synthesis.engine is not None else ()
