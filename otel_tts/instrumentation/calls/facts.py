# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What an entry's call says of its request, as the table reads it: to a synthesis of its own, or to the open one."""

from __future__ import annotations

from typing import Any, Final

from otel_tts import names
from otel_tts.device.fallback import kind_of_device
from otel_tts.engines.table import Call, Engine, Entry
from otel_tts.instrumentation.calls.arguments import fact, length, read
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.recording.synthesis import Synthesis

_IDENTITY: Final = frozenset({names.ENGINE_VERSION, names.PROVIDER, names.MODEL})
"""Facts that belong to the engine's name: not filled in beside a name that the caller gave."""


def facts_of(plan: Plan, call: Call, streams: bool) -> dict[str, Any]:
    """Return what is known of `call` before it runs, by the attributes' names. `streams`: it is a generator's."""
    entry, facts = plan.entry, plan.facts.copy()
    if entry.model is not None and (model := fact(entry.model, call)):
        facts[names.MODEL] = model
    if (characters := length(read(entry.text, call))) is not None:
        facts[names.TEXT_LENGTH] = characters
    for name, reader in plan.readers:
        if (value := fact(reader, call)) is not None:
            facts[name] = value
    if entry.device is not None and (device := kind_of_device(read(entry.device, call))) is not None:
        facts[names.DEVICE] = device
    for name, reader in entry.facts.items():
        if (value := fact(reader, call)) is not None:
            facts[name] = value
        else:
            facts.pop(name, None)
    if streams and names.STREAM not in entry.facts:
        facts[names.STREAM] = True
    return facts


def learn(synthesis: Synthesis, engine: Engine, facts: dict[str, Any]) -> None:
    """Tell a synthesis that knows no engine yet; what its caller has said stays."""
    synthesis.engine = engine
    named = names.ENGINE in synthesis.attrs
    for name, value in facts.items():
        if not (named and name in _IDENTITY):
            synthesis.attrs.setdefault(name, value)
    if not named and engine.name not in synthesis.recorder.warm:
        synthesis.recorder.warm.add(engine.name)
        synthesis.mark_cold(names.ColdStart.FIRST_REQUEST)


def add_up(synthesis: Synthesis, entry: Entry, call: Call) -> None:
    """Several calls inside one own block are one text and one piece of audio, unless the caller said what is."""
    if isinstance(synthesis.source, Entry):
        synthesis.source = None
    characters = length(read(entry.text, call))
    if characters is not None and synthesis.attrs.get(names.TEXT_LENGTH, 0) == synthesis.text_seen:
        synthesis.text_seen += characters
        synthesis.attrs[names.TEXT_LENGTH] = synthesis.text_seen
