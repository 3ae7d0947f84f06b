# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts find`: where a request's time went and why, or which requests were slow or failed and what they share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otel_tts import names
from otel_tts.cli import output
from otel_tts.cli.times import nanoseconds
from otel_tts.names import ANOMALIES, OUTCOMES, Outcome

if TYPE_CHECKING:  # read where they are used: `otel-tts --help` does not wait for them
    from otel_tts.causes.ask import Overview
    from otel_tts.readers.choice import Places
    from otel_tts.readers.filters import Filter
    from otel_tts.readers.model import Gap
    from otel_tts.readers.stores import LogStore, TraceStore

_LISTED = 20


def find(
    request_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="A request's id, or its trace's.", show_default=False)
    ] = None,
    since: Annotated[str | None, typer.Option(help="From then on: 30m, 2h, 7d (ago), 2026-11-30T05:00.")] = None,
    until: Annotated[str | None, typer.Option(help="Before then.")] = None,
    outcome: Annotated[str | None, typer.Option(help=f"One of {', '.join(OUTCOMES)}.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Those that ended in an error.")] = False,
    stage: Annotated[
        str | None, typer.Option(help="Those that have this stage; with --slower its time counts.")
    ] = None,
    slower: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Those that took at least so long.")
    ] = None,
    voice: Annotated[str | None, typer.Option(help="A voice, as it stands in telemetry.")] = None,
    anomaly: Annotated[str | None, typer.Option(help=f"Audio that is {', '.join(list(ANOMALIES)[:4])}, …")] = None,
    engine: Annotated[str | None, typer.Option(help="An engine.")] = None,
    service: Annotated[str | None, typer.Option(help="A service, by its name.")] = None,
    slowest: Annotated[int | None, typer.Option(metavar="N", min=1, help="The N slowest.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Requests that are listed.")] = _LISTED,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for requests, and print each as it ends.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder of files, as OTEL_TTS_FILE_DIR.", show_default=False)
    ] = None,
    traces: Annotated[str | None, typer.Option(metavar="URL", help="Store of traces: Jaeger, Tempo.")] = None,
    logs: Annotated[str | None, typer.Option(metavar="URL", help="Store of log records: VictoriaLogs, Loki.")] = None,
    index: Annotated[
        bool, typer.Option("--index/--no-index", help="Index large files after the answer, for the next question.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document (with --follow, one a line).")] = False,
) -> None:
    """Find a request by its id, or requests by what they were like, and say why they were slow or failed.

    Without --dir or an URL: the stack that runs here, else OTEL_TTS_FILE_DIR, else the files in this folder.

    Exit status: 0 when something was found, 1 when nothing was or nothing could be asked, 2 for wrong use.
    """
    from otel_tts.readers.choice import NoStore
    from otel_tts.readers.filters import Filter

    if follow and (slowest is not None or until is not None):
        raise typer.BadParameter("--follow waits for what ends from now on: it goes with no --slowest and no --until")
    with output.explained(NoStore):
        try:
            first, last = (None if text is None else nanoseconds(text) for text in (since, until))
            if first is not None and last is not None and first >= last:
                raise typer.BadParameter(f"--since {since} is not before --until {until}")
            wanted = Filter(
                since=first,
                until=last,
                request_id=request_id,
                outcome=_outcome(outcome, failed),
                stage=stage,
                least_seconds=slower,
                voice=voice,
                anomaly=anomaly,
                engine=engine,
                service=service,
                limit=slowest if slowest is not None else limit,
                canaries=service == names.DOCTOR,
            )
            places = places_of(folder, traces, logs)
            if follow:
                _follow(wanted, log_store(places), as_json)
            elif request_id is not None:
                _one(request_id, places, as_json, index)
            else:
                _many(wanted, places, slowest is not None, as_json)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None


def _outcome(outcome: str | None, failed: bool) -> str | None:
    if failed and outcome is not None:
        raise typer.BadParameter("--failed is --outcome error: give one of them")
    if outcome is not None and outcome not in OUTCOMES:
        raise typer.BadParameter(f"{outcome!r} is none of {', '.join(OUTCOMES)}")
    return Outcome.ERROR if failed else outcome


def places_of(folder: Path | None, traces: str | None, logs: str | None) -> Places:
    """Where to look, by what was given; the stack that runs here where that leaves something open."""
    from otel_tts.readers.choice import Places

    if folder is not None or (traces is not None and logs is not None):
        return Places(folder, traces, logs)
    from otel_tts.stack.run import Stack
    from otel_tts.stack.stores import KEEPS_S, addresses

    return Places(folder, traces, logs, stack=addresses(Stack()), stack_keeps_seconds=KEEPS_S)


def trace_store(places: Places) -> TraceStore:
    """The store of traces; it is said which and why. Raises NoStore, ValueError."""
    from otel_tts.readers.choice import choose_traces

    chosen = choose_traces(places)
    output.say(str(chosen))
    return chosen.store


def log_store(places: Places) -> LogStore:
    """The store of log records; it is said which and why. Raises NoStore, ValueError."""
    from otel_tts.readers.choice import choose_logs

    chosen = choose_logs(places)
    output.say(str(chosen))
    return chosen.store


def _one(request_id: str, places: Places, as_json: bool, index: bool) -> None:
    from otel_tts.causes import ask
    from otel_tts.readers.choice import NoStore

    store = trace_store(places)
    try:
        lines = log_store(places)
    except NoStore as error:
        lines = None
        output.say(f"without log lines: {error}")
    found = ask.one(request_id, store, lines)
    if as_json:
        from otel_tts.views import plain

        output.print_json(plain.report(found))
    else:
        from otel_tts.views import request

        for one in found.requests:
            request.show(output.stdout(), one, found.period)
    say_gaps(found.gaps)
    if index:
        _index(store, lines)
    if not found.requests:
        raise output.fail(_unknown(request_id, store))


def _index(*stores: object) -> None:
    """Have what was searched indexed; nobody waits for it."""
    from otel_tts.readers import file_index
    from otel_tts.readers.files import FileLogs, FileTraces

    file_index.start(path for store in stores if isinstance(store, (FileTraces, FileLogs)) for path in store.paths())


def _unknown(request_id: str, store: TraceStore) -> str:
    from otel_tts.causes import ask
    from otel_tts.views.printable import printable
    from otel_tts.views.why import moment

    said = f"There is no request {printable(request_id)} in {store}."
    if (oldest := ask.oldest(store)) is not None:
        said += f" It has requests since about {moment(oldest)}; older ones are gone."
    if similar := ask.similar(request_id, store):
        return f"{said} Written like it: {', '.join(map(printable, similar))}."
    return f"{said} A request that was begun less than ten seconds ago may still be on its way."


def overview_of(wanted: Filter, store: TraceStore, slowest: bool) -> Overview:
    """What meets a question, and what the slow and the failed ones share; a terminal is told how far it is."""
    from otel_tts.causes import ask

    console = output.stderr()
    with console.status("reading …") as status:
        return ask.many(wanted, store, slowest, lambda read: status.update(f"reading … {read:,} requests"))


def _many(wanted: Filter, places: Places, slowest: bool, as_json: bool) -> None:
    store = trace_store(places)
    found = overview_of(wanted, store, slowest)
    if as_json:
        from otel_tts.views import plain

        output.print_json(plain.overview(found))
    elif found.requests:
        from otel_tts.views import request

        request.show_overview(output.stdout(), found)
    say_gaps(found.gaps)
    if not found.requests:
        raise output.fail(f"No request in {store} is of this kind.")


def _follow(wanted: Filter, store: LogStore, as_json: bool) -> None:
    from otel_tts.names import REQ_FAIL, REQ_SUCCESS
    from otel_tts.views import plain
    from otel_tts.views.printable import printable

    try:
        for line in store.follow(wanted, _say_gap):
            if line.event_name in (REQ_SUCCESS, REQ_FAIL):
                typer.echo(_json_line(plain.line(line)) if as_json else printable(line.body, 2000))
    except KeyboardInterrupt:
        raise typer.Exit from None


def _json_line(value: Any) -> str:
    import json

    from otel_tts.views.printable import readable

    return json.dumps(readable(value), allow_nan=False)


def say_gaps(gaps: tuple[Gap, ...]) -> None:
    """Say what an answer may lack."""
    for gap in gaps:
        _say_gap(gap)


def _say_gap(gap: Gap) -> None:
    from otel_tts.views.printable import printable

    output.say(f"may be incomplete: {printable(gap)}")
