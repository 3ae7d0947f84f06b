# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""sherpa-onnx: many kinds of models in C++ on an onnxruntime of its own; one call of a compiled method is all there is.

It has no stages that could be told apart. With a callback it streams: a piece for each sentence or so, on the calling
thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from otel_tts import names
from otel_tts.engines.table import Call, Callback, Chunk, Engine, Entry, Load

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np

_SPEAKERS = 1024
_KINDS = ("vits", "matcha", "kokoro", "kitten", "zipvoice", "pocket", "supertonic")

_models: WeakKeyDictionary[Any, tuple[str | None, str]] = WeakKeyDictionary()
"""The kind of model and the provider of each engine: it forgets what it was made with."""


def _remember(call: Call) -> None:
    """Of the kinds in its configuration one has paths, which are private and not kept."""
    model = call.arguments["config"].model
    kinds = (kind for kind in _KINDS if _has_paths(getattr(model, kind, None)))
    _models[call.instance] = next(kinds, None), str(model.provider)


def _has_paths(config: Any) -> bool:
    values = (getattr(config, name) for name in dir(config) if not name.startswith("_"))
    return any(isinstance(value, str) and value for value in values)


def _kind(call: Call) -> str | None:
    return _models.get(call.instance, (None, None))[0]


def _provider(call: Call) -> str | None:
    return _models.get(call.instance, (None, None))[1]


def _parameters(given: tuple[Any, ...]) -> tuple[str, ...]:
    """The three overloads differ in their second argument."""
    second = given[1] if len(given) > 1 else None
    if isinstance(second, str):
        return "text", "prompt_text", "prompt_samples", "sample_rate", "speed", "num_steps", "callback"
    if hasattr(second, "sid"):
        return "text", "config", "callback"
    return "text", "sid", "speed", "callback"


def _voice(call: Call) -> str | None:
    """The number of a speaker; a model with one speaker has nothing to choose, a prompt's voice no number."""
    if call.instance.num_speakers < 2 or _source(call):
        return None
    config = call.arguments.get("config")
    return str(int(call.arguments.get("sid", 0) if config is None else config.sid))


def _source(call: Call) -> str | None:
    config = call.arguments.get("config")
    prompted = "prompt_samples" in call.arguments or (config is not None and config.reference_sample_rate)
    return "reference" if prompted else None


def _language(call: Call) -> str | None:
    return getattr(call.instance, "lang", None) or None


def _samples(result: Any) -> Any:
    return np.array(result.samples, np.float32)  # a list, made anew at each look


def _stops(answer: Any, samples: Any, progress: float) -> bool:
    return answer == 0 and progress < 1


ENGINE = Engine(
    name="sherpa-onnx",
    module="sherpa_onnx",
    distribution="sherpa-onnx",
    presets=frozenset(map(str, range(_SPEAKERS))),
    channels=1,
    load=(Load("OfflineTts.__init__", note=_remember, parameters=("config",)),),
    entries=(
        Entry(
            "OfflineTts.generate",
            parameters=_parameters,
            chunk=Chunk(samples=_samples, rate="sample_rate"),
            callback=Callback("callback", stops=_stops),
            voice=_voice,
            model=_kind,
            device=_provider,
            language=_language,
            sample_rate="self.sample_rate",
            facts={names.VOICE_SOURCE: _source},
        ),
    ),
)
