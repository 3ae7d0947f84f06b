# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's requests: plain ones, and one of each kind that a speech service meets sooner or later."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, Final

import httpx

SPEECH: Final = "/v1/audio/speech"
PLAIN: Final = "plain"

SENTENCES: Final = (
    "The night train to Lisbon leaves from platform seven.",
    "Please keep your ticket until the end of the journey.",
    "Rain is expected along the coast, clearing towards the evening.",
    "Your parcel was delivered on the 3rd of March at 7:30 pm.",
    "Turn left after the bakery, then walk for about two hundred metres.",
    "She had never seen so many lanterns on one river before.",
    "The recipe asks for three eggs, a cup of flour and a pinch of salt.",
    "Doctor Okafor will see you in room twelve.",
    "In 1969 two people walked on the Moon while a third kept watch above them.",
    "Why do skylarks sing while they fly? Nobody is quite sure.",
    "The total comes to $48.50, including the delivery.",
    "Mind the gap between the door and the platform edge.",
    "A good map does not show everything; it shows what you need.",
    "The museum opens at ten, except on Mondays, when it stays closed.",
    "Hold the handle firmly, press the green button and wait for the click.",
    "Somewhere behind the hills a bell rang four times, then it was quiet again.",
)
LONG: Final = (
    "The lighthouse keeper wrote down the weather every morning, as the keepers before him had done. "
    "Wind from the west, the page would say, sea rough, two fishing boats in sight. "
    "Nobody on the mainland ever read these books, yet no day was left out in ninety years. "
)
# "Welcome to the speech service. Fine weather today." to an English voice, which has no sounds for it.
CHINESE: Final = "欢迎使用语音合成服务。今天天气很好。"
# The engine cannot name a number of more than 36 digits: its front end fails with an exception of its own.
HUGE_NUMBER: Final = "The serial number is 31415926535897932384626433832795028841971693993751."


@dataclass(frozen=True)
class Case:
    """A request to be sent; `hang_up` closes the connection after the first sound."""

    kind: str
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    stream: bool = False
    hang_up: bool = False


@dataclass(frozen=True)
class Answer:
    """What the client saw: the service's status and request id, the bytes of the WAV, seconds on its own clock."""

    case: Case
    status: int
    request_id: str
    audio: bytes = field(repr=False)
    seconds: float

    @property
    def delivered(self) -> bool:
        """The whole answer arrived, and it is audio."""
        return self.status == 200 and not self.case.hang_up


def make_cases(plain: int) -> list[Case]:
    """Return `plain` ordinary requests followed by one of each other kind."""
    return [*_plain(plain), *_unusual()]


def _plain(count: int) -> Iterator[Case]:
    for number, text in enumerate(islice(cycle(SENTENCES), count), 1):
        yield Case(PLAIN, text, _headers(number))


def _headers(number: int) -> dict[str, str]:
    """Every third request brings an id of its own, the second comes from a caller that is traced itself."""
    headers: dict[str, str] = {}
    if number % 3 == 1:
        headers["x-request-id"] = f"demo-{random.getrandbits(32):08x}-{number}"
    if number == 2:
        headers["traceparent"] = f"00-{random.getrandbits(128) | 1:032x}-{random.getrandbits(64) | 1:016x}-01"
    return headers


def _unusual() -> Iterator[Case]:
    yield Case("streamed", LONG * 2, stream=True)
    yield Case("Chinese", CHINESE, stream=True)
    yield Case("empty", "")
    yield Case("too long", LONG * 20)
    yield Case("failing", HUGE_NUMBER)
    yield Case("hang-up", LONG * 18, stream=True, hang_up=True)


def send(base: str, cases: list[Case]) -> Iterator[Answer]:
    """Send `cases` to the service at `base`, one after the other. Raises httpx.HTTPError when it does not answer."""
    # A connection each: uvicorn resets the one on which an application failed, and the next request would notice.
    limits = httpx.Limits(max_keepalive_connections=0)
    # trust_env: a proxy of the environment has no business between two processes of this machine.
    with httpx.Client(base_url=base, timeout=60.0, trust_env=False, limits=limits) as client:
        for case in cases:
            yield _send(client, case)


def _send(client: httpx.Client, case: Case) -> Answer:
    body: dict[str, Any] = {"input": case.text, "stream": case.stream}
    started = time.perf_counter()
    with client.stream("POST", SPEECH, json=body, headers=dict(case.headers)) as response:
        audio = _first_sound(response) if case.hang_up else response.read()
        seconds = time.perf_counter() - started
        return Answer(
            case=case,
            status=response.status_code,
            request_id=response.headers.get("x-request-id", ""),
            audio=audio if response.status_code == 200 else b"",
            seconds=seconds,
        )


def _first_sound(response: httpx.Response) -> bytes:
    received = b""
    for part in response.iter_raw():
        received += part
        if len(received) > _HEADER:
            break
    return received


def finish_wav(audio: bytes) -> bytes:
    """Return `audio` with the sizes in its header set to what has arrived: a stream's header cannot know them."""
    if len(audio) < _HEADER:
        return audio
    riff, data = struct.pack("<I", len(audio) - 8), struct.pack("<I", len(audio) - _HEADER)
    return audio[:4] + riff + audio[8:40] + data + audio[_HEADER:]


_HEADER: Final = 44  # bytes before the first sample
