# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which store is asked, and why that one: what was said, else what is found here. The choice is always said."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

from otel_tts.readers.files import FileLogs, FileTraces
from otel_tts.readers.stores import LogStore, MetricStore, TraceStore

T = TypeVar("T")
Signal = Literal["traces", "logs", "metrics"]

FOLDER: Final = "OTEL_TTS_FILE_DIR"


class NoStore(Exception):
    """There is nothing to ask; the message says what to give."""


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A store, and a sentence for people that says which it is and why it was taken."""

    store: T
    said: str

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True)
class Places:
    """Where to look, in this order: what was asked for, the servers that run here, files.

    `folder` and the URLs are what `--dir`, `--traces`, `--logs` and `--metrics` say. `stack` are the addresses of a
    stack that runs on this machine, by signal, and `stack_keeps_seconds` how long it keeps traces: who knows of one
    gives both (`otel_tts.stack.stores`). `environ` and `here` are the process's.
    """

    folder: Path | None = None
    traces: str | None = None
    logs: str | None = None
    metrics: str | None = None
    stack: Mapping[str, str] | None = None
    stack_keeps_seconds: float | None = None
    environ: Mapping[str, str] | None = None
    here: Path | None = None

    def url(self, signal: Signal) -> str | None:
        """The URL that was given for a signal."""
        return {"traces": self.traces, "logs": self.logs, "metrics": self.metrics}[signal]


def choose_traces(places: Places) -> Choice[TraceStore]:
    """The store of traces. Raises NoStore, ValueError for an URL that is none of a store."""
    return _choose("traces", places, FileTraces)


def choose_logs(places: Places) -> Choice[LogStore]:
    """The store of log records. Raises NoStore, ValueError for an URL that is none of a store."""
    return _choose("logs", places, FileLogs)


def choose_metrics(places: Places) -> Choice[MetricStore]:
    """The store of metrics. Raises NoStore, ValueError for an URL that is none of a store."""
    from otel_tts.readers.file_metrics import FileMetrics  # who asks for traces does not wait for it

    return _choose("metrics", places, FileMetrics)


def _choose(signal: Signal, places: Places, files: Callable[[Path], Any]) -> Choice[Any]:
    def in_folder(folder: Path, why: str) -> Choice[Any]:
        store = files(folder)
        return Choice(store, f"{signal} are read from {store} ({why})")

    if places.folder is not None:
        return in_folder(places.folder, "--dir")
    if (url := places.url(signal)) is not None:
        return _at(signal, url, f"--{signal}")
    if places.stack and signal in places.stack:
        return _at(signal, places.stack[signal], "the stack that runs here", places.stack_keeps_seconds)
    environ = os.environ if places.environ is None else places.environ
    if environ.get(FOLDER):
        return in_folder(Path(environ[FOLDER]).expanduser(), FOLDER)
    here = Path.cwd() if places.here is None else places.here
    if any(here.glob(f"{signal}*.jsonl*")):
        return in_folder(here, f"{signal}*.jsonl* in this folder")
    raise NoStore(
        f"there are no {signal} to read: no stack runs here (otel-tts stack up), {FOLDER} is not set, and there is no "
        f"{signal}*.jsonl* in {here}; give --dir DIR or --{signal} URL"
    )


def _at(signal: Signal, url: str, why: str, keeps_seconds: float | None = None) -> Choice[Any]:
    kind, plus, rest = url.partition("+")
    kinds = _KINDS[signal]
    if plus and rest.startswith(("http://", "https://")):
        if kind not in kinds:
            raise ValueError(f"{kind} is no store of {signal} that is known; there are {', '.join(kinds)}")
        url = rest
    else:
        kind = _kind(signal, url)
    module, name = kinds[kind]
    make = getattr(import_module(module), name)
    # Jaeger alone cannot be asked how long it keeps what it has.
    store = make(url, keeps_seconds=keeps_seconds) if kind == "jaeger" else make(url)
    return Choice(store, f"{signal} are read from {store} ({why})")


def _kind(signal: Signal, url: str) -> str:
    """What kind of store answers at an URL. Raises NoStore where none that is known does."""
    kinds = list(_KINDS[signal])
    if len(kinds) == 1:
        return kinds[0]
    from otel_tts.readers.http import Client, StoreError

    client = Client("The store", url)
    failures: list[StoreError] = []
    for kind in kinds:
        path, is_it = _PROBES[kind]
        try:
            if is_it(client.text(path)):
                return kind
        except StoreError as error:
            failures.append(error)
            if error.why == "down" and error.status is None:
                break  # nobody is there to ask twice
            if error.status in (401, 403):
                break
    named = " or ".join(f"{kind}+http://…" for kind in kinds)
    told = failures[-1] if failures else f"{client.name} is none that is known"
    raise NoStore(f"{told}; name the kind if it is one: {named}")


_KINDS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "traces": {
        "jaeger": ("otel_tts.readers.jaeger", "Jaeger"),
        "tempo": ("otel_tts.readers.tempo", "Tempo"),
    },
    "logs": {
        "victorialogs": ("otel_tts.readers.victorialogs", "VictoriaLogs"),
        "loki": ("otel_tts.readers.loki", "Loki"),
    },
    "metrics": {"prometheus": ("otel_tts.readers.prometheus", "Prometheus")},
}
"""Where each kind of store is: who asks files does not wait for HTTP to be loaded."""

_PROBES: Final[Mapping[str, tuple[str, Callable[[bytes], bool]]]] = {
    "jaeger": ("/api/services", lambda text: text.lstrip().startswith(b'{"data"')),
    "tempo": ("/api/echo", lambda text: text.strip() == b"echo"),
    "victorialogs": ("/metrics", lambda text: b"\nvl_" in text),
    "loki": ("/loki/api/v1/labels", lambda text: b'"success"' in text),
}
"""A question that only this kind of store answers so."""
