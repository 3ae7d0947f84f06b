# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An engine is a table: which callables are a synthesis, which are its stages, and where the facts stand.

The tables hold data only. `otel_tts.instrumentation.tables` reads them and wraps the callables after their module's
import. A package may bring its own: an entry point in the group ``otel_tts_engine`` that names an `Engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from otel_tts.names import Stage

__all__ = ["Call", "Callback", "Chunk", "Engine", "Entry", "Load", "Mark", "Reader", "Seam", "Stage"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an entry, as a `Reader` sees it: the instance (None for functions) and the bound arguments."""

    instance: Any
    arguments: Mapping[str, Any]


Last = Callable[[Call, Any], bool]
"""Says of an item that a generator yielded whether nothing that counts comes after it."""

Reader = str | Callable[[Call], Any]
"""Where a fact stands: ``"text"`` is the argument of that name, ``"inputs.text"`` a key or attribute of the argument,
``"self.voice"`` an attribute path from the instance (``"self.config.sample_rate"``); a function of the `Call` where a
path cannot say it. Unknown is None, and so is whatever is no plain value: a tensor is not read."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where an entry's result (or each item that it yields) has its samples and their rate.

    `samples` is an attribute, a key or an index of the result, or a path of them (``"audio.1"``); None: the result
    itself, or what it names: ``(samples, rate)``, ``(rate, samples)``, a mapping or an object with ``audio`` and
    ``sampling_rate``. `rate` likewise, or the rate itself in Hz (from 1000 on). Samples may be a list of arrays: they
    count as one after the other. Where a path cannot say it, `samples` is a function of the result; None from it is no
    audio seen: a stream's item without any is no delivery. `given`: both are arguments of the call by name, which is
    handed the audio to write it.
    """

    samples: str | int | Callable[[Any], Any] | None = None
    rate: str | int | float | None = None
    given: bool = False
    select: Callable[[Call, Any], Any] | None = None
    """As a function in `samples`, which is not asked then, where it depends on the call what an item is."""
    encoding: str | None = None
    """What is in samples that are bytes: ``"pcm16"`` or ``"float32"``, little-endian, of as many channels as the engine
    has (default: one). They may be cut anywhere."""
    optional: bool = False
    """Only what names its own rate is read, as a pair or a mapping; anything else is no audio that we know."""
    inner_on_device: bool = True
    """False: inside another entry, samples on a device are left to that one, which hands them out where they can be
    read."""


@dataclass(frozen=True, slots=True)
class Callback:
    """An argument of a plain entry that is called with each piece of audio as it is made: streaming by callback.

    `argument` is its name, `chunk` says where its first argument has the samples. `stops` is a function of its answer
    and its arguments that says whether the caller wants no more.
    """

    argument: str
    chunk: Chunk = field(default_factory=Chunk)
    stops: Callable[..., bool] | None = None


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
    """What the engine runs on: a torch.device, a name such as ``"cuda:0"``, or an onnxruntime session."""
    sample_rate: Reader | int | None = None
    facts: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    """Further attributes: name of the attribute to where it stands."""
    module: str | None = None
    required: bool = False
    """Returning None is an error; its exception is the one that left an entry inside, which this one swallowed."""
    callback: Callback | None = None
    parameters: tuple[str, ...] | Callable[[tuple[Any, ...]], tuple[str, ...]] = ()
    """Names of what is given by position to a callable that is compiled and has no signature; where overloads differ, a
    function of what is given."""
    last: Last | None = None
    """A generator's item after which whoever takes it may drop the generator: the synthesis ends there, complete."""
    error: str | int | Callable[[Any], Any] | None = None
    """Where a result or item says that it is an error instead of audio: a path in it or a function of it, to an
    exception or anything true. For engines that hand errors over and raise none."""
    optional: bool = False
    """Not in every version: it is not missed."""
    kinds: tuple[str, ...] = ()
    """What the callable is: ``"function"``, ``"generator"``, ``"coroutine"``, ``"async generator"``. `chunk` is for the
    first of them; in a version where it is another one, its result is not read, and was never empty audio."""
    file: Reader | None = None
    """The path of the file that the call writes, where nothing that is hooked does it: native code. A path that the
    call returns needs no word here."""
    when: Callable[[Call], bool] | None = None
    """Whether a call is a synthesis at all; one that is none is left alone."""
    outermost: bool = False
    """A call inside another entry is left alone: it is a part of that one, as its seams say."""


@dataclass(frozen=True, slots=True)
class Seam:
    """A callable whose call is one stage. `module` where it is not the engine's; `device` ``"cpu"`` where it never
    runs on a device; `fold` puts all its calls in a request into one span."""

    target: str
    stage: str
    module: str | None = None
    device: str | None = None
    fold: bool = False
    facts: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    """Attributes of the stage: name to where it stands when the call begins."""
    segments: Reader | None = None
    """How many segments one call makes where it is a batch of a request's sentences."""
    streams: Reader | None = None
    """The device's stream or streams that it runs on, where that is not the calling thread's current one."""
    last: Last | None = None
    """For a generator that is taken one item from and dropped: the stage ends with it, not when it is collected."""
    attempts: bool = False
    """Called again inside the same stage or entry it is another attempt at the same thing, one of ``tts.retries``."""
    job: str | None = None
    """``"Class.field"``, in the same module: a job that is put on a queue and taken by a worker that was started before
    the request. The stage belongs to the request that made the job whose `field` the worker has read last."""
    optional: bool = False
    """Not in every version, or of a module that need not be installed: it is not missed."""
    within: str | None = None
    """The call is a part of this stage, which goes on around it (see `Mark`): ``gpt`` within ``acoustic_model``."""
    then: str | None = None
    """The stage that goes on after the call."""
    unless: Callable[[Call], Any] | None = None
    """No stage where this is true: what was to be done is there already."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A callable whose call says which stage runs from now on: for engines whose stages are lines, not callables.

    `stage` is the stage's name, or a function of the `Call` that returns it; None for none of them. The same stage goes
    on, another one ends it, and so does a seam that is not within it. `segments`: the call returns the text's segments.
    `stages` lists what a function may return.
    """

    target: str
    stage: str | Callable[[Call], str | None]
    module: str | None = None
    segments: bool = False
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """A callable that loads a model, where more is to be said than its name. No load where `unless` is true: what was
    to be loaded is there already. `note` is shown the call when it has succeeded, to keep what only it knows.
    """

    target: str
    unless: Callable[[Call], Any] | None = None
    note: Callable[[Call], object] | None = None
    parameters: tuple[str, ...] = ()
    """Names of what is given by position where the callable is compiled and has no signature."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A table for one engine.

    `module` is the import that triggers the hooks, `distribution` the installed package that has the version (``""``
    where there is none).
    `only_with` is a dotted name that the module has to have where packages share its name; without it nothing of the
    table is used.
    `onnx` names the stage that a run of onnxruntime inside this engine is. `scale` is the full scale of float
    samples. `seconds_per_character` (shortest, longest) marks audio as truncated or too long for its text.
    `load` lists callables that load a model: their time goes to ``tts.model.load.duration``. One in another module is
    ``"module:Class.method"``.
    """

    name: str
    module: str
    distribution: str
    entries: tuple[Entry, ...]
    seams: tuple[Seam, ...] = ()
    marks: tuple[Mark, ...] = ()
    load: tuple[str | Load, ...] = ()
    only_with: str = ""
    model: str | None = None
    presets: frozenset[str] = frozenset()
    onnx: str = Stage.MODEL
    scale: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    seconds_per_character: tuple[float, float] | None = None
    prefixes: tuple[str, ...] = ()
    """Packages that the modules are imported from as well: with ``"GPT_SoVITS"`` ``TTS_infer_pack.TTS`` is
    ``GPT_SoVITS.TTS_infer_pack.TTS`` too."""
    locks: tuple[str, ...] = ()
    """Locks of a module (``"lock"``, ``"module:lock"``) that are held around a synthesis: waiting for one is the stage
    ``queue``."""
    hides_errors: bool = False
    """The engine swallows exceptions: where a stage failed the request is an error, although the call returned."""

    @property
    def has_stages(self) -> bool:
        """Whether its table names stages."""
        return bool(self.seams or self.marks)


def installed_version(distribution: str) -> str | None:
    """Return the installed version of `distribution`, or None; a source checkout has no distribution: ``""``."""
    try:
        return metadata.version(distribution) if distribution else None
    except metadata.PackageNotFoundError:
        return None
