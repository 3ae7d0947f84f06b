# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A page in front of IndexTTS-2.5, made as upstream's own: ``indextts_page.py PORT CHECKPOINT``.

A button with progress, reference audio that is uploaded, and a function that looks at the text with every keystroke and
uses the model's tokenizer for it. The language is one for which the package normalises no text: building its grammars
takes a minute.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from indextts25 import IndexTTS25

FEW = {"max_mel_tokens": 8, "num_beams": 1, "diffusion_steps": 2, "lang": "fr"}

port, checkpoint = sys.argv[1:]
tts = IndexTTS25(model_dir=checkpoint, device="cpu")._tts
numbers = itertools.count(1)


generator = tts.infer_generator


def nothing(*args: Any, **kwargs: Any) -> Iterator[Any]:
    """What is left where an error inside is swallowed, as upstream's `infer` does: it returns None."""
    return iter(())


def gen_single(prompt: str | None, text: str, segment_tokens: float, progress: Any = gr.Progress()) -> Any:  # noqa: B008
    output = Path("outputs", f"spk_{next(numbers)}.wav")
    output.parent.mkdir(exist_ok=True)
    tts.infer_generator = nothing if not text else generator
    progress(0, desc="starting inference...")
    spoken = tts.infer(
        spk_audio_prompt=prompt, text=text, output_path=str(output), max_text_tokens_per_segment=int(segment_tokens),
        **FEW,
    )  # fmt: skip
    progress(0.9, desc="saving audio...")
    return gr.update(value=spoken, visible=True)


def on_input_text_change(text: str, segment_tokens: float) -> list[list[Any]]:
    segments = tts.split_text_by_tokens(text, int(segment_tokens)) if text else []
    return [[number, segment] for number, segment in enumerate(segments)] or [[0, ""]]


with gr.Blocks(title="IndexTTS") as demo:
    prompt = gr.Audio(label="Voice Reference", sources=["upload"], type="filepath", elem_id="prompt")
    text = gr.Textbox(label="Text", elem_id="text")
    tokens = gr.Slider(20, 600, value=40, step=2, label="Tokens per segment")
    preview = gr.Dataframe(headers=["Index", "Content"], label="Segments")
    gen_button = gr.Button("Synthesize", elem_id="speak")
    output_audio = gr.Audio(label="Synthesis Result", visible=True, elem_id="sound")
    text.change(on_input_text_change, [text, tokens], preview)
    tokens.change(on_input_text_change, [text, tokens], preview)
    gen_button.click(gen_single, [prompt, text, tokens], output_audio)

if __name__ == "__main__":
    demo.queue(20)
    demo.launch(server_name="127.0.0.1", server_port=int(port))
