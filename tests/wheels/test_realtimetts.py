# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""RealtimeTTS' own engines, imported from the wheel that its table is held against, around stand-ins of what they wrap.

Its requirements are not installed: pyaudio wants a sound library, nltk data; an engine by itself needs neither.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wheel_cache

from otel_tts import guard, names
from otel_tts.engines import edge_tts, realtimetts
from otel_tts.instrumentation.libraries import encoders, threads
from otel_tts.instrumentation.tables import watch
from tests.unit.support.engine_fixtures import unhooked
from tests.unit.support.world import world

__all__ = ["unhooked", "world"]

STAND_INS = Path(__file__).parents[1] / "standins" / "realtimetts"
BROUGHT = {"RealtimeTTS", "edge_tts", "openai", "pyaudio"}
TEXT = "Purpleotter hums."


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    try:
        wheel = wheel_cache.wheels()["realtimetts"]
    except wheel_cache.Unavailable as unavailable:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"RealtimeTTS' wheel is not here: {unavailable}")
    monkeypatch.syspath_prepend(STAND_INS)
    monkeypatch.syspath_prepend(wheel)
    threads.install()
    yield
    threads.uninstall()
    for name in [name for name in sys.modules if name.partition(".")[0] in BROUGHT]:
        del sys.modules[name]


def engine(which: str, hooked: bool = True) -> Any:
    if hooked:
        watch(realtimetts.ENGINE)
        watch(edge_tts.ENGINE)
    module = importlib.import_module(f"RealtimeTTS.engines.{which.lower()}_engine")
    made = getattr(module, f"{which}Engine")()
    if which == "Edge":
        made.set_voice(module.EdgeVoice("en-GB-SoniaNeural"))
    return made


def heard(made: Any) -> bytes:
    return b"".join(made.queue.get() for _ in range(made.queue.qsize()))


def requests(seen: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    return sorted(found, key=lambda span: span.start_time)


def test_the_wrapped_engines_synthesis_is_a_part_of_the_wrappers(world) -> None:
    """It runs on a loop in a thread that the wrapper starts."""
    seen, made = world(), engine("Edge")
    assert made.synthesize(TEXT, 1) is True
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.ENGINE], facts[names.MODEL], facts[names.OUTCOME]) == ("realtimetts", "edge", "ok")
    assert facts[names.TEXT_LENGTH] == len(TEXT)
    assert facts[names.AUDIO_DURATION] == pytest.approx(len(heard(made)) / 144 * 0.024)
    (remote,) = [span for span in seen.spans if names.STAGE in span.attributes]
    assert remote.name == "tts.remote"
    assert (remote.context.trace_id, remote.parent.span_id) == (root.context.trace_id, root.context.span_id)
    assert not guard.faults


def test_an_engine_without_a_table_is_timed(world) -> None:
    seen, made = world(), engine("OpenAI")
    assert made.synthesize(TEXT) is True
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.MODEL], facts[names.OUTCOME], facts[names.TEXT_LENGTH]) == ("openai", "ok", len(TEXT))
    assert names.VOICE in facts and names.AUDIO_DURATION not in facts


def test_each_sentence_is_a_synthesis(world) -> None:
    seen, made = world(), engine("OpenAI")
    for sentence in ("One.", "Two.", "Three."):
        made.synthesize(sentence)
    assert [root.attributes[names.TEXT_LENGTH] for root in requests(seen)] == [4, 4, 6]


def test_an_error_that_the_wrapper_prints_and_answers_with_true(world, capsys) -> None:
    seen, made = world(), engine("Edge")
    assert made.synthesize("purpleotter is gone") is True
    (root,) = requests(seen)
    assert (root.attributes[names.OUTCOME], root.attributes[names.ERROR_TYPE]) == ("error", "ConnectionError")
    assert "Stream processing error" in capsys.readouterr().out


def test_an_error_that_leaves_it(world) -> None:
    seen, made = world(), engine("OpenAI")
    with pytest.raises(ConnectionError):
        made.synthesize("purpleotter is gone")
    (root,) = requests(seen)
    assert (root.attributes[names.OUTCOME], root.attributes[names.ERROR_TYPE]) == ("error", "ConnectionError")


@pytest.fixture
def piper(tmp_path: Path) -> Any:
    """RealtimeTTS' engine around a program of that name, which gives a tenth of a second a character."""
    program = tmp_path / "piper"
    speaks = "sys.exit(3) if 'gone' in text else sys.stdout.write('ab' * 1600 * len(text))"
    program.write_text(f"#!{sys.executable}\nimport sys\ntext = sys.stdin.read()\n{speaks}\n")
    program.chmod(0o755)
    watch(realtimetts.ENGINE)
    encoders.watch_postprocess()
    module = importlib.import_module("RealtimeTTS.engines.piper_engine")
    return module.PiperEngine(str(program), module.PiperVoice("/voices/purpleotter.onnx"))


def test_a_program_that_speaks_is_waited_for(world, piper) -> None:
    seen = world()
    assert piper.synthesize(TEXT) is True
    assert len(heard(piper)) == 3200 * len(TEXT)
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.MODEL], facts[names.OUTCOME], facts[names.TEXT_LENGTH]) == ("piper", "ok", len(TEXT))
    assert "purpleotter" not in facts[names.VOICE]
    (remote,) = [span for span in seen.spans if names.STAGE in span.attributes]
    assert remote.name == "tts.remote" and remote.parent.span_id == root.context.span_id
    assert not guard.faults


def test_a_program_that_fails_or_is_not_there_is_an_error(world, piper) -> None:
    seen = world()
    assert piper.synthesize("purpleotter is gone") is False
    piper.piper_path = "/nowhere/piper"
    assert piper.synthesize(TEXT) is False
    kinds = [(root.attributes[names.OUTCOME], root.attributes[names.ERROR_TYPE]) for root in requests(seen)]
    assert kinds == [("error", "subprocess.CalledProcessError"), ("error", "FileNotFoundError")]


@pytest.fixture
def start_method() -> Iterator[None]:
    """The package sets that of all processes."""
    before = multiprocessing.get_start_method(allow_none=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def test_a_worker_process_is_waited_for(world, monkeypatch, start_method) -> None:
    """CoquiEngine without its start, which loads a model, and torch; its worker's end of the pipe is ours."""
    for name in ("torch", "torch.multiprocessing", "tqdm"):
        monkeypatch.setitem(sys.modules, name, stub := types.ModuleType(name))
        stub.tqdm = stub.multiprocessing = stub
    seen = world()
    watch(realtimetts.ENGINE)
    coqui = importlib.import_module("RealtimeTTS.engines.coqui_engine")
    pipes = importlib.import_module("RealtimeTTS.engines.safepipe")
    made = coqui.CoquiEngine.__new__(coqui.CoquiEngine)
    importlib.import_module("RealtimeTTS.engines.base_engine").BaseEngine.__init__(made)
    made.parent_synthesize_pipe, child = pipes.SafePipe()
    made._synthesize_lock, made.add_sentence_filter, made.language = threading.Lock(), False, "en"
    made.engine_name = "coqui"

    def work() -> None:
        child.recv()
        for answer in (("success", b"one"), ("success", b"two"), ("finished", "")):
            child.send(answer)

    worker = threading.Thread(target=work)
    worker.start()
    assert made.synthesize(TEXT) is True
    worker.join()
    assert heard(made) == b"onetwo"
    (root,) = requests(seen)
    assert (root.attributes[names.MODEL], root.attributes[names.OUTCOME]) == ("coqui", "ok")
    (remote,) = [span for span in seen.spans if names.STAGE in span.attributes]
    assert (remote.name, remote.attributes[names.STAGE_SEGMENTS]) == ("tts.remote", 3)
    made.parent_synthesize_pipe.close()
    child.close()


def test_false_is_an_error(world) -> None:
    """As QwenEngine answers, of which only the sentence's beginning can run here."""
    seen = world()
    watch(realtimetts.ENGINE)
    engines = importlib.import_module("RealtimeTTS.engines.base_engine")
    qwen = importlib.import_module("RealtimeTTS.engines.qwen_engine").QwenEngine
    made = qwen.__new__(qwen)
    engines.BaseEngine.__init__(made)
    assert made.synthesize(" ") is False
    (root,) = requests(seen)
    assert root.attributes[names.OUTCOME] == "error"


def test_the_audio_is_the_same_and_nothing_that_was_said_leaves(world) -> None:
    plain = engine("Edge", hooked=False)
    plain.synthesize(TEXT)
    for name in [name for name in sys.modules if name.partition(".")[0] in BROUGHT]:
        del sys.modules[name]
    seen, made = world(), engine("Edge")
    made.synthesize(TEXT)
    assert heard(made) == heard(plain) != b""
    told = str([span.to_json() for span in seen.drain().spans]).lower()
    assert "realtimetts" in told and "purpleotter" not in told and "hums" not in told
