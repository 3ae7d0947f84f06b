# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An engine is a table: which callables are a synthesis, which are its stages, and where the facts stand.

The tables hold data only. `otel_tts.instrumentation.hooks` reads them and wraps the callables after their module's
import. A package may bring its own: an entry point in the group ``otel_tts_engine`` that names an `Engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_tts.names import Stage

__all__ = ["Call", "Chunk", "Engine", "Entry", "Reader", "Seam", "Stage"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an entry, as a `Reader` sees it: the instance (None for functions) and the bound arguments."""

    instance: Any
    arguments: Mapping[str, Any]


Reader = str | Callable[[Call], Any]
"""Where a fact stands: ``"text"`` is the argument of that name, ``"self.voice"`` an attribute path from the instance
(``"self.config.sample_rate"``); a function of the `Call` where a path cannot say it. Unknown is None, and so is
whatever is no plain value: a tensor is not read."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where an entry's result (or each item that it yields) has its samples and their rate.

    `samples` is an attribute, a key or an index of the result; None: the result itself. `rate` likewise, or the rate
    itself in Hz (from 1000 on). Samples may be a list of arrays: they count as one after the other. Where a path cannot
    say it, `samples` is a function of the result; None from it is no audio seen. `given`: both are arguments of the
    call by name, which is handed the audio to write it.
    """

    samples: str | int | Callable[[Any], Any] | None = None
    rate: str | int | float | None = None
    given: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A callable whose call is one synthesis: a function, method, generator or their async kinds.

    `target` is the dotted name inside the engine's module, such as ``"PiperVoice.synthesize"``. An entry that runs
    inside another one joins its synthesis. `chunk` None: the result holds no samples, an inner entry has them.
    """

    target: str
    text: Reader | None = "text"
    chunk: Chunk | None = field(default_factory=Chunk)
    voice: Reader | None = None
    model: Reader | None = None
    language: Reader | None = None
    device: Reader | None = None
    """What the engine runs on: a torch.device, or a name such as ``"cuda:0"``."""
    sample_rate: Reader | int | None = None
    facts: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    """Further attributes: name of the attribute to where it stands."""
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Seam:
    """A callable whose call is one stage. `module` where it is not the engine's; `device` ``"cpu"`` where it never
    runs on a device; `fold` puts all its calls in a request into one span."""

    target: str
    stage: str
    module: str | None = None
    device: str | None = None
    fold: bool = False


@dataclass(frozen=True, slots=True)
class Engine:
    """A table for one engine.

    `module` is the import that triggers the hooks, `distribution` the installed package that has the version (``""``
    where there is none).
    `onnx` names the stage that a run of onnxruntime inside this engine is. `scale` is the full scale of float
    samples. `seconds_per_character` (shortest, longest) marks audio as truncated or too long for its text.
    `load` lists callables that load a model: their time goes to ``tts.model.load.duration``.
    """

    name: str
    module: str
    distribution: str
    entries: tuple[Entry, ...]
    seams: tuple[Seam, ...] = ()
    load: tuple[str, ...] = ()
    model: str | None = None
    presets: frozenset[str] = frozenset()
    onnx: str = Stage.MODEL
    scale: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    seconds_per_character: tuple[float, float] | None = None
