# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's service speaks, refuses and fails as it says, and knows nothing of telemetry."""

from __future__ import annotations

import io
import socket
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn

from otel_tts.demo import client, service


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The service behind a real server, in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(service.app, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    listening.close()
    assert not thread.is_alive()


def samples_of(audio: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(audio)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2")


def ask(base: str, **body: object) -> httpx.Response:
    return httpx.post(base + client.SPEECH, json=body, timeout=60, trust_env=False)


def test_no_word_of_telemetry_in_it() -> None:
    source = Path(service.__file__).read_text(encoding="utf-8")

    assert "otel" not in source.replace("The otel-tts Authors", "").lower()
    assert "opentelemetry" not in source.lower()


def test_it_speaks(base: str) -> None:
    answer = ask(base, input=client.SENTENCES[0])

    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    samples = samples_of(answer.content)
    assert len(samples) > 24_000 and np.abs(samples).max() > 1000


def test_a_stream_is_the_same_audio_in_parts(base: str) -> None:
    text = client.LONG
    streamed = ask(base, input=text, stream=True)
    whole = ask(base, input=text)

    assert streamed.headers["transfer-encoding"] == "chunked"
    assert len(samples_of(client.finish_wav(streamed.content))) == len(samples_of(whole.content))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"input": ""}, 422),
        ({"input": client.CHINESE}, 422),
        ({"input": "a" * (service.MAX_CHARACTERS + 1)}, 413),
        ({"input": "Hello.", "voice": "nobody"}, 404),
        ({"input": "Hello.", "speed": 0}, 422),
        ({"input": client.HUGE_NUMBER}, 500),
    ],
)
def test_what_it_refuses(base: str, body: dict[str, object], status: int) -> None:
    assert ask(base, **body).status_code == status


def test_a_huge_number_is_more_than_the_engine_can_say() -> None:
    with pytest.raises(IndexError):
        service.voices["heart"].phonemize(client.HUGE_NUMBER)


def test_the_client_sends_every_kind_and_sees_what_came_of_it(base: str) -> None:
    answers = {answer.case.kind: answer for answer in client.send(base, client.make_cases(1))}

    assert {kind: answer.status for kind, answer in answers.items()} == {
        "plain": 200,
        "streamed": 200,
        "Chinese": 200,  # nothing was spoken, and the status does not tell
        "empty": 422,
        "too long": 413,
        "failing": 500,
        "hang-up": 200,
    }
    assert len(samples_of(client.finish_wav(answers["streamed"].audio))) > 24_000
    assert len(samples_of(client.finish_wav(answers["Chinese"].audio))) == 0
    assert [kind for kind, answer in answers.items() if answer.delivered] == ["plain", "streamed", "Chinese"]


def test_some_cases_bring_an_id_and_one_a_trace() -> None:
    headers = [case.headers for case in client.make_cases(6)]

    assert ["x-request-id" in of for of in headers[:6]] == [True, False, False, True, False, False]
    assert ["traceparent" in of for of in headers[:6]] == [False, True, False, False, False, False]
    assert len({case.text for case in client.make_cases(len(client.SENTENCES))[: len(client.SENTENCES)]}) == 16


def test_a_case_does_not_show_its_text() -> None:
    assert client.SENTENCES[0] not in repr(client.make_cases(1))
