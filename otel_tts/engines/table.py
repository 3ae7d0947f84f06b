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
from typing import Any, NamedTuple

from otel_tts.names import Stage

__all__ = [
    "Call", "Callback", "Chunk", "Engine", "Entry", "Finish", "Finisher", "Graph", "Keep", "Load", "Mark", "Reader",
    "Seam", "Stage",
]  # fmt: skip


class Call(NamedTuple):
    """One call of an entry, as a `Reader` sees it: the instance (None for functions) and the bound arguments."""

    instance: Any
    arguments: Mapping[str, Any]
    before: Any = None
    """What `Seam.before` read when the call began."""


Last = Callable[[Call, Any], bool]
"""Says of an item that a generator yielded whether nothing that counts comes after it."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How one generation ended, as far as the engine knows: its steps and their limit, or the reason itself."""

    steps: int | None = None
    """Tokens, frames or patches that were made."""
    limit: int | None = None
    """As many at the most: a generation that has made them was cut."""
    reason: str | None = None
    """``"stop"``, ``"length"`` or ``"aborted"`` where the engine says it; None: ``"length"`` where `steps` are at
    `limit`, else ``"stop"``."""


Finisher = Callable[[Call, Any, int], Finish | None]
"""Says how a generation ended: from its call, from what that returned (of a generator the last item), and from how many
items it has yielded. It reads shapes and plain values, never a tensor; None: this call was no generation."""

Reader = str | Callable[[Call], Any]
"""Where a fact stands: ``"text"`` is the argument of that name, ``"inputs.text"`` a key or attribute of the argument,
``"self.voice"`` an attribute path from the instance (``"self.config.sample_rate"``); a function of the `Call` where a
path cannot say it. Unknown is None, and so is whatever is no plain value: a tensor is not read."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where an entry's result (or each item that it yields) has its samples and their rate."""

    samples: str | int | Callable[[Any], Any] | None = None
    """An attribute, a key or an index of the result, or a path of them (``"audio.1"``); None: the result itself, or
    what it names: ``(samples, rate)``, ``(rate, samples)``, a mapping or an object with ``audio`` and
    ``sampling_rate``. A list of arrays counts as one after the other. Where a path cannot say it, a function of the
    result; None from it is no audio seen: a stream's item without any is no delivery."""
    rate: str | int | float | None = None
    """Where the sample rate is: an attribute, a key, an index or a path of them, or the rate itself in Hz (a number
    from 1000 on)."""
    given: bool = False
    """`samples` and `rate` name arguments of the call, which is handed the audio to write it."""
    select: Callable[[Call, Any], Any] | None = None
    """A function of the call and of its result or item that returns the samples, or None for no audio: in the place of
    `samples` where it depends on the call what an item is."""
    encoding: str | None = None
    """What is in samples that are bytes: ``"pcm16"`` or ``"float32"``, little-endian, of as many channels as the engine
    has (default: one); or the format of a file that comes in pieces (``"mp3"``, ``"ogg"``, ``"wav"``, ``"flac"``). They
    may be cut anywhere."""
    segment: bool = False
    """Each item that the entry yields is one segment of the text: their loudness is compared."""
    text: str | None = None
    """An attribute or key of such an item that has the segment's text, of which only the length is kept."""
    optional: bool = False
    """Only what names its own rate is read, as a pair or a mapping; anything else is no audio that we know."""
    inner_on_device: bool = True
    """False: inside another entry, samples on a device are left to that one, which hands them out where they can be
    read."""


@dataclass(frozen=True, slots=True)
class Callback:
    """An argument of a plain entry that is called with each piece of audio as it is made: streaming by callback."""

    argument: str
    """The name of the entry's argument that takes the caller's function."""
    chunk: Chunk = field(default_factory=Chunk)
    """Where what the callback is given first has the samples."""
    stops: Callable[..., bool] | None = None
    """A function of the callback's answer and its arguments that says whether the caller wants no more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A callable whose call is one synthesis: a function, method, generator or their async kinds.

    An entry that runs inside another one joins its synthesis.
    """

    target: str
    """The dotted name inside the module, such as ``"PiperVoice.synthesize"``."""
    text: Reader | None = "text"
    """The text that is spoken, or texts. Only its length is kept."""
    chunk: Chunk | None = field(default_factory=Chunk)
    """Where the samples are; None: the result holds none, an inner entry has them."""
    voice: Reader | None = None
    """The voice's name, or the path of a reference recording. A hash leaves unless presets or settings name it."""
    model: Reader | None = None
    """The model's name, where it is not `Engine.model`."""
    language: Reader | None = None
    """The language of the text, as the engine names it."""
    device: Reader | None = None
    """What the engine runs on: a torch.device, a name such as ``"cuda:0"``, or an onnxruntime session."""
    sample_rate: Reader | int | None = None
    """The rate in Hz of samples that do not name their own, where it is not `Engine.sample_rate`."""
    facts: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    """Further attributes of the synthesis: name of the attribute to where its value stands."""
    module: str | None = None
    """The module of `target`, where it is not the engine's."""
    required: bool = False
    """Returning None is an error, with the exception that left an entry inside, where this one swallowed it."""
    callback: Callback | None = None
    """The argument through which the audio is streamed."""
    parameters: tuple[str, ...] | Callable[[tuple[Any, ...]], tuple[str, ...]] = ()
    """Names of what is given by position to a callable that is compiled and has no signature; where overloads differ, a
    function of what is given."""
    last: Last | None = None
    """A generator's item after which whoever takes it may drop the generator: the synthesis ends there, complete."""
    error: str | int | Callable[[Any], Any] | None = None
    """Where a result or item says that it is an error instead of audio: a path in it or a function of it, to an
    exception, an HTTP status (of which 4xx is a refusal) or anything true. For engines that hand errors over and raise
    none."""
    optional: bool = False
    """The callable is not in every version: it is not missed."""
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
    body: str | None = None
    """The attribute of the result in which a generator goes on with the synthesis: ``"body_iterator"`` of a web
    framework's answer that streams."""
    finish: Finisher | None = None
    """How the generation ended, where only the whole call knows it."""


@dataclass(frozen=True, slots=True)
class Seam:
    """A callable whose call is one stage of a synthesis."""

    target: str
    """The dotted name inside the module, such as ``"KModel.forward"``."""
    stage: str
    """The stage's name, one of `Stage` where one fits."""
    module: str | None = None
    """The module of `target`, where it is not the engine's."""
    device: str | None = None
    """``"cpu"`` where it never runs on a device."""
    fold: bool = False
    """All its calls in a request become one span, with their number and their time."""
    facts: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    """Attributes of the stage: name of the attribute to where its value stands when the call begins."""
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
    finish: Finisher | None = None
    """The call is a generation of steps, one after the other: how that ended. One that an exception leaves is
    ``"aborted"``; of `attempts` the last one counts."""
    before: Reader | None = None
    """What `finish` is to know of the call's beginning: how far something is filled that the call goes on to fill."""
    headers: str | None = None
    """The argument that takes W3C trace headers for a process that goes on with the request. Where the caller gives
    none it is given those of the span around the call."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A callable whose call says which stage runs from now on: for engines whose stages are lines, not callables.

    The same stage goes on, another one ends it, and so does a seam that is not within it.
    """

    target: str
    """The dotted name inside the module."""
    stage: str | Callable[[Call], str | None]
    """The stage's name, or a function of the call that returns it; None from it: none of them."""
    module: str | None = None
    """The module of `target`, where it is not the engine's."""
    segments: bool = False
    """The call returns the text's segments: their number becomes the synthesis's ``tts.segment.count``."""
    stages: tuple[str, ...] = ()
    """What a function in `stage` may return."""


@dataclass(frozen=True, slots=True)
class Load:
    """A callable that loads a model, where more is to be said than its name."""

    target: str
    """The dotted name inside the engine's module; in another module ``"module:Class.method"``."""
    unless: Callable[[Call], Any] | None = None
    """No load where this is true: what was to be loaded is there already."""
    note: Callable[[Call], object] | None = None
    """It is shown the call when that has succeeded, to keep what only the call knows."""
    parameters: tuple[str, ...] = ()
    """Names of what is given by position where the callable is compiled and has no signature."""


@dataclass(frozen=True, slots=True)
class Keep:
    """A callable that is told before a request what the request's own call does not say any more: a voice's name, of
    which the call is given the embedding. A reader asks for it by `otel_tts.engines.kept.kept`."""

    target: str
    """The dotted name inside the module."""
    value: Reader
    """What is kept, for as long as what the callable returns (of ``__init__`` the instance; each item of a list or
    tuple) lives: a plain value. Of a text keep its length."""
    module: str | None = None
    """The module of `target`, where it is not the engine's."""
    optional: bool = False
    """Not in every version, or of a module that need not be installed: it is not missed."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One of several graphs that an engine runs by onnxruntime: what a run of it is."""

    name: str
    """The model's file, without folder and ending: ``"vocoder"`` for ``…/vocoder.onnx``."""
    stage: str
    """The stage's name, one of `Stage` where one fits."""
    fold: bool = False
    """All its runs in a request become one span, with their number and their time: steps of a diffusion."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The table of one engine."""

    name: str
    """The engine's name in telemetry."""
    module: str
    """The module whose import sets the hooks; dotted names stand in it unless a line says otherwise."""
    distribution: str
    """The installed package whose version is noted; ``""`` where there is none, as of a source checkout."""
    entries: tuple[Entry, ...]
    """The callables that are a synthesis."""
    seams: tuple[Seam, ...] = ()
    """The callables that are a stage."""
    marks: tuple[Mark, ...] = ()
    """The callables that say which stage runs from now on."""
    load: tuple[str | Load, ...] = ()
    """The callables that load a model: their time goes to ``tts.model.load.duration``. One in another module is
    ``"module:Class.method"``."""
    only_with: str = ""
    """A dotted name that the module has to have, where packages share its name; without it nothing of the table is
    used."""
    model: str | None = None
    """The model's name, where the entries read none."""
    presets: frozenset[str] = frozenset()
    """Voices that may be exported by name; others are hashed."""
    onnx: str = Stage.MODEL
    """The stage that a run of onnxruntime inside this engine is."""
    graphs: tuple[Graph, ...] = ()
    """What runs of onnxruntime are where the engine has several models; of any other it is `onnx`."""
    keeps: tuple[Keep, ...] = ()
    """The callables that are told before a request what its own call does not say."""
    scale: float | None = None
    """The full scale of float samples, where it is not 1.0: 32767 for PCM as floats."""
    sample_rate: int | None = None
    """The rate in Hz of samples that do not name theirs; audio of another one is `wrong_sample_rate`."""
    channels: int | None = None
    """Audio of another number of channels is `wrong_channels`; None: samples that are bytes have one."""
    seconds_per_character: tuple[float, float] | None = None
    """Shortest and longest: audio beyond them is `truncated` or `too_long` for its text."""
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
        return bool(self.seams or self.marks or self.graphs)


def installed_version(distribution: str) -> str | None:
    """Return the installed version of `distribution`, or None; a source checkout has no distribution: ``""``."""
    try:
        return metadata.version(distribution) if distribution else None
    except metadata.PackageNotFoundError:
        return None
