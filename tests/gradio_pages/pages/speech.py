# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A page with a small voice and every kind of function that Gradio has: ``speech.py PORT [MAX_SIZE]``.

A function that waits says so with a file ``waits.N`` in the working directory and goes on once there is a file ``go``;
when it sees that nobody waits for it any more, it says so with a file ``given.up``.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from hibari import Hibari

voice = Hibari(voice="heart")
together = threading.Barrier(2)
numbers = itertools.count(1)


def wait() -> None:
    Path(f"waits.{next(numbers)}").touch()
    while not Path("go").exists():
        time.sleep(0.01)
        if any(not event.alive for job in demo._queue.active_jobs if job for event in job):
            Path("given.up").touch()


def speak(text: str, progress: Any = gr.Progress()) -> tuple[int, Any]:  # noqa: B008
    progress(0.0, desc="starting")
    return voice.sample_rate, voice(text)


def count(text: str) -> int:
    return len(text)


def wait_and_speak(text: str, progress: Any = gr.Progress()) -> tuple[int, Any]:  # noqa: B008
    progress(0.5, desc="waiting")
    wait()
    return voice.sample_rate, voice(text)


def speak_and_wait(text: str) -> tuple[int, Any]:
    samples = list(voice.stream(text))
    wait()
    return voice.sample_rate, samples[0]


def stream(text: str) -> Iterator[tuple[int, Any]]:
    for chunk in voice.stream(text):
        yield voice.sample_rate, chunk


def stream_slowly(text: str) -> Iterator[tuple[int, Any]]:
    for chunk in voice.stream(text):
        yield voice.sample_rate, chunk
        wait()


async def speak_async(text: str) -> tuple[int, Any]:
    return voice.sample_rate, voice(text)


async def stream_async(text: str) -> AsyncIterator[tuple[int, Any]]:
    for chunk in voice.stream(text):
        yield voice.sample_rate, chunk


def speak_and_fail(text: str) -> tuple[int, Any]:
    voice(text)
    raise ValueError(f"cannot deliver {text}")


def check_and_speak(text: str) -> tuple[int, Any]:
    if "?" in text:
        raise gr.Error(f"no questions: {text}")
    return voice.sample_rate, voice(text)


def speak_many(texts: list[str]) -> list[list[int]]:
    wait()
    return [[len(voice(text)) for text in texts]]


def speak_together(text: str) -> tuple[int, Any]:
    together.wait(60)
    return voice.sample_rate, voice(text)


with gr.Blocks() as demo:
    text = gr.Textbox(label="Text", elem_id="text")
    length = gr.Number(label="Length", elem_id="length")
    sound = gr.Audio(label="Sound", elem_id="sound")
    chunks = gr.Audio(label="Chunks", streaming=True)
    button = gr.Button("Speak", elem_id="speak")
    slow = gr.Button("Wait and speak", elem_id="slow")
    text.change(count, text, length)
    button.click(speak, text, sound)
    slow.click(wait_and_speak, text, sound)
    for function in (speak_and_wait, speak_async, speak_and_fail, check_and_speak):
        gr.Button(function.__name__).click(function, text, sound)
    for function in (stream, stream_slowly, stream_async):
        gr.Button(function.__name__).click(function, text, chunks)
    gr.Button("at once").click(speak, text, sound, queue=False, api_name="at_once")
    gr.Button("many").click(speak_many, text, length, batch=True, max_batch_size=4)
    gr.Button("together").click(speak_together, text, sound, concurrency_limit=2)

if __name__ == "__main__":
    port, size = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None
    demo.queue(max_size=size).launch(server_name="127.0.0.1", server_port=port)
