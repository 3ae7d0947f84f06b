# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Gradio page: a button with progress, the sound as it comes, and a look at the text with every keystroke.

    pip install .. hibari-tts gradio
    otel-tts run -- python gradio_page.py 7860

Each click is a job of Gradio's queue, and a trace: the request that handed it in, the waiting, the synthesis. The count
below the text is a job too; it makes no synthesis and leaves no trace of ours. Nothing in here knows of telemetry.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import gradio as gr
from hibari import Hibari

voice = Hibari("heart")


def speak(text: str, progress: Any = gr.Progress()) -> tuple[int, Any]:  # noqa: B008
    if not text.strip():
        raise gr.Error("There is nothing to say.")
    progress(0.0, desc="Speaking")
    samples = voice(text)
    progress(0.9, desc="Encoding")
    return voice.sample_rate, samples


def stream(text: str) -> Iterator[tuple[int, Any]]:
    for samples in voice.stream(text):
        yield voice.sample_rate, samples


def count(text: str) -> str:
    return f"{len(text)} characters"


with gr.Blocks(title="Speech") as demo:
    text = gr.Textbox(label="Text", lines=3)
    length = gr.Markdown("0 characters")
    with gr.Row():
        whole, chunked = gr.Button("Speak", variant="primary"), gr.Button("Stream")
    sound = gr.Audio(label="Speech")
    chunks = gr.Audio(label="Stream", streaming=True, autoplay=True)
    text.change(count, text, length)
    whole.click(speak, text, sound)
    chunked.click(stream, text, chunks)

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7860
    demo.queue(max_size=20).launch(server_name="127.0.0.1", server_port=port)
