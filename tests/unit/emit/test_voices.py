# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of voices: presets as they are, people's voices as keyed hashes."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otel_tts import names
from otel_tts.emit import voices
from otel_tts.emit.facts import note_reference
from otel_tts.emit.voices import VoiceNames
from otel_tts.privacy import policy as privacy
from otel_tts.privacy.policy import Policy
from otel_tts.settings import Settings
from tests.unit.support.gate_kit import counting

KEYED = Settings(hash_key="a key", voices=("May",))


@pytest.fixture(autouse=True)
def forget_voices() -> Iterator[None]:
    known = set(privacy.public_voices)
    yield
    privacy.public_voices.clear()
    privacy.public_voices.update(known)


def test_presets_and_listed_voices_keep_their_names() -> None:
    given = VoiceNames(KEYED)
    assert given.name("heart", {"heart"}) == ("heart", "heart")
    assert given.name("May") == ("May", "May")


def test_other_voices_are_hashed_and_equal_ones_are_equal() -> None:
    given = VoiceNames(KEYED)
    ann, _ = given.name("ann", {"heart"})
    assert ann.startswith("v-") and len(ann) == 18 and "ann" not in ann
    assert given.name("ann")[0] == ann != given.name("ben")[0]
    assert VoiceNames(KEYED).name("ann")[0] == ann, "the key makes it the same in every process"
    assert VoiceNames(Settings(hash_key="another")).name("ann")[0] != ann


def test_without_a_key_hashes_differ_between_processes_and_are_no_labels() -> None:
    one, two = VoiceNames(Settings()), VoiceNames(Settings())
    assert one.name("ann")[0] != two.name("ann")[0]
    assert one.name("ann")[1] == names.OTHER
    keyed = VoiceNames(KEYED).name("ann")
    assert keyed[1] == keyed[0]


def test_a_hash_is_not_hashed_again() -> None:
    given = VoiceNames(Settings())
    hashed, _ = given.name("ann")
    assert given.name(hashed) == (hashed, names.OTHER)


@pytest.mark.parametrize("key", ["k", "k" * 64, "k" * 65, "键" * 40])
def test_keys_of_any_length(key: str) -> None:
    assert VoiceNames(Settings(hash_key=key)).name("ann")[0].startswith("v-")


def test_a_preset_in_any_alphabet_passes_the_gate_by_its_name() -> None:
    policy = counting(Policy())
    assert policy.attributes({names.VOICE: "日本語女"}) == {}
    VoiceNames(Settings()).name("日本語女", {"日本語女"})
    assert policy.attributes({names.VOICE: "日本語女"}) == {names.VOICE: "日本語女"}
    assert policy.attributes({names.VOICE: VoiceNames(Settings()).name("王小明")[0]})


def test_files_are_known_by_their_bytes(tmp_path: Path) -> None:
    given = VoiceNames(KEYED)
    first, copy, other = tmp_path / "ann.wav", tmp_path / "copy.wav", tmp_path / "other.wav"
    first.write_bytes(b"RIFF" * 1000)
    copy.write_bytes(b"RIFF" * 1000)
    other.write_bytes(b"RIFX" * 1000)
    assert given.hash_file(first) == given.hash_file(str(copy)) != given.hash_file(other)
    assert given.hash_file(tmp_path / "missing.wav") is None
    assert given.hash_file(tmp_path) is None
    assert given.hash_file("a\0b") is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ann.wav")
    asked = threading.Thread(target=VoiceNames(KEYED).hash_file, args=(tmp_path / "ann.wav",), daemon=True)
    asked.start()
    asked.join(20)
    assert not asked.is_alive(), "it waits for a writer, and with it all telemetry"


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, path = VoiceNames(KEYED), tmp_path / "ann.wav"
    path.write_bytes(b"a" * 10)
    before = given.hash_file(path)
    reads: list[int] = []
    real = VoiceNames._hash_blocks
    monkeypatch.setattr(VoiceNames, "_hash_blocks", lambda *args: (reads.append(1), real(*args))[1])
    assert given.hash_file(path) == before and not reads
    path.write_bytes(b"b" * 10)
    os.utime(path, ns=(1, 1))
    assert given.hash_file(path) != before and len(reads) == 1


def test_long_files_are_hashed_in_part_and_the_cache_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "MAX_FILE", 1000)
    monkeypatch.setattr(voices, "_MAX_CACHED", 3)
    given = VoiceNames(KEYED)
    paths = [tmp_path / f"{i}.wav" for i in range(5)]
    for i, path in enumerate(paths):
        path.write_bytes(b"a" * (1000 + i))
    assert len({given.hash_file(path) for path in paths}) == 5, "the size tells them apart"
    assert len(given._files) == 3


def _synthesis(presets: frozenset[str] = frozenset(), **attrs: Any) -> Any:
    by_name = {"voice": names.VOICE, "source": names.VOICE_SOURCE}
    engine = SimpleNamespace(presets=presets)
    return SimpleNamespace(attrs={by_name[key]: value for key, value in attrs.items()}, engine=engine)


def test_a_synthesis_is_settled_once_and_for_all(tmp_path: Path) -> None:
    given, path = VoiceNames(KEYED), tmp_path / "ann.wav"
    path.write_bytes(b"RIFF")
    by_file = _synthesis(voice=path, source="reference")
    given.settle(by_file)
    assert by_file.attrs[names.VOICE] == given.hash_file(path)
    given.settle(by_file)
    assert by_file.attrs[names.VOICE] == given.hash_file(path) == given.label(by_file)
    gone = _synthesis(voice=str(tmp_path / "gone.wav"), source="reference")
    given.settle(gone)
    assert gone.attrs[names.VOICE] == given.name(str(tmp_path / "gone.wav"))[0]
    preset = _synthesis(frozenset({"heart"}), voice="heart")
    given.settle(preset)
    assert preset.attrs[names.VOICE] == given.label(preset) == "heart"


@pytest.mark.parametrize("voice", [b"samples", [0.1, 0.2], "", 7])
def test_what_has_no_name_is_absent(voice: Any) -> None:
    synthesis = _synthesis(voice=voice)
    VoiceNames(KEYED).settle(synthesis)
    assert names.VOICE not in synthesis.attrs
    assert VoiceNames(KEYED).label(synthesis) is None


def test_a_synthesis_without_an_engine_or_a_voice() -> None:
    synthesis = _synthesis()
    synthesis.engine = None
    VoiceNames(KEYED).settle(synthesis)
    assert synthesis.attrs == {}
    synthesis.attrs[names.VOICE] = "ann"
    VoiceNames(KEYED).settle(synthesis)
    assert synthesis.attrs[names.VOICE].startswith("v-")


def chosen(path: Path, name: str) -> VoiceNames:
    """Names with one chosen for the recording at `path`."""
    hashed = VoiceNames(KEYED).hash_file(path)
    return VoiceNames(dataclasses.replace(KEYED, voice_names=(f"{hashed}={name}",)))


def test_a_recording_goes_by_the_name_that_the_operator_chose(tmp_path: Path) -> None:
    path, other = tmp_path / "ann.wav", tmp_path / "ben.wav"
    path.write_bytes(b"RIFF")
    other.write_bytes(b"RIFX")
    given = chosen(path, "讲述者 1")
    synthesis, nameless = _synthesis(voice=str(path), source="reference"), _synthesis(voice=other, source="reference")
    for _ in range(2):
        given.settle(synthesis)
        given.settle(nameless)
        assert synthesis.attrs[names.VOICE] == given.label(synthesis) == "讲述者 1"
        assert nameless.attrs[names.VOICE] == given.label(nameless) == given.hash_file(other)
    assert counting(Policy()).attributes(synthesis.attrs) == synthesis.attrs


def test_a_chosen_name_is_not_looked_for_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ann.wav").write_bytes(b"RIFF")
    given = chosen(tmp_path / "ann.wav", "narrator")
    synthesis = _synthesis(voice="ann.wav", source="reference")
    given.settle(synthesis)
    (tmp_path / "narrator").write_bytes(b"another recording")
    note_reference(synthesis.attrs, given)
    given.settle(synthesis)
    assert synthesis.attrs[names.VOICE] == "narrator" and names.REFERENCE_SIZE not in synthesis.attrs
