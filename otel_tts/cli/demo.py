# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts demo`: a real service, real requests, and what they leave behind."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from otel_tts.cli import output
from otel_tts.commands import installing, installing_elsewhere, suggest

if TYPE_CHECKING:
    from otel_tts.demo.client import Answer, Case
    from otel_tts.demo.folder import Folder

SERVICE_LOG: Final = "service.log"
_NEEDED: Final = ("hibari", "fastapi", "uvicorn", "httpx")


def demo(
    requests: Annotated[
        int, typer.Option("--requests", min=1, max=1000, help="How many plain requests; six unusual ones follow.")
    ] = 12,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where telemetry and WAV files go.", file_okay=False)
    ] = Path("demo"),
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="Send telemetry to this OTLP base URL, not to files."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document instead of tables.")] = False,
) -> None:
    """Start a small speech service without a line of telemetry in it, send it requests and show what is seen of them.

    Telemetry goes to OTLP JSON files in DIR, or to a Collector with --endpoint http://127.0.0.1:4318.
    """
    _check_extra()

    from otel_tts.demo import destination
    from otel_tts.demo.client import make_cases
    from otel_tts.demo.folder import Folder

    with output.explained():
        folder, cases = Folder(out), make_cases(requests)
        if endpoint is None:
            _to_files(folder, cases, as_json)
            return
        try:
            base = destination.check(endpoint)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--endpoint") from None
        _to_endpoint(folder, cases, base, as_json)


def _to_files(folder: Folder, cases: list[Case], as_json: bool) -> None:
    from otel_tts.demo import environment, render, report
    from otel_tts.readers import traces

    folder.prepare((SERVICE_LOG,))
    others = traces.files_in(folder.root)
    files: list[Path] = []
    try:
        answers = _talk(folder, cases, environment.to_files(os.environ, folder.root))
    finally:  # its processes name them
        files += (folder.claim(path.name) for path in traces.files_in(folder.root) if path not in others)
    telemetry = traces.read(files)
    traces = traces.Traces(telemetry.spans)
    rows = [report.make_row(answer, traces, _save(folder, answer)) for answer in answers]
    problems = report.find_problems(answers, traces, telemetry)
    summary = report.summarise(rows, telemetry, (*files, folder.root / SERVICE_LOG), problems)
    if as_json:
        output.print_json(summary)
    else:
        console = output.stdout()
        if slowest := report.slowest(rows, traces):
            render.print_request(console, slowest, report.lines_of(slowest, telemetry))
            console.print()
        render.print_table(console, rows)
        console.print()
        render.print_summary(console, summary)
    if problems:
        raise output.fail("\n".join(["The telemetry is not complete:", *(f"  {problem}" for problem in problems)]))
    if not as_json:
        output.say(_next())


def _to_endpoint(folder: Folder, cases: list[Case], base: str, as_json: bool) -> None:
    from otel_tts.demo import destination, environment

    folder.prepare((SERVICE_LOG,))
    answers = _talk(folder, cases, environment.to_endpoint(os.environ, base))
    sent = [
        {
            "kind": answer.case.kind,
            "request_id": answer.request_id,
            "status_code": answer.status,
            "wav": _save(folder, answer),
        }
        for answer in answers
    ]
    if as_json:
        output.print_json({"endpoint": base, "requests": sent})
        return
    console = output.stdout()
    for request in sent:
        console.print(f"{request['status_code']}  {request['request_id']:<34} {request['kind']}", markup=False)
    console.print("\nTelemetry went to " + base + ". To find a request, the first one for example:", markup=False)
    for line in destination.ways_to_find(answers[0].request_id):
        console.print("  " + line, markup=False, soft_wrap=True)


def _talk(folder: Folder, cases: list[Case], environ: dict[str, str]) -> list[Answer]:
    """Send `cases` to a service that lives as long as this takes."""
    import httpx

    from otel_tts.demo.client import send
    from otel_tts.demo.process import serve
    from otel_tts.trouble import Trouble

    log = folder.root / SERVICE_LOG
    with output.stderr().status("Starting the service …") as status, serve(environ, log) as base:
        answers: list[Answer] = []
        try:
            for answer in send(base, cases):
                answers.append(answer)
                status.update(f"{len(answers)} of {len(cases)} requests …")
        except httpx.HTTPError as error:
            raise Trouble(
                f"The service did not answer request {len(answers) + 1} ({type(error).__name__}).\nSee {log}."
            ) from None
        status.update("Waiting for the service to end …")
    return answers


def _save(folder: Folder, answer: Answer) -> str | None:
    """Write the audio of `answer` and return its path below the folder, or None when there is none."""
    from otel_tts.demo.client import finish_wav
    from otel_tts.demo.report import file_name

    name = file_name(answer.request_id)
    if name is None or not answer.audio:
        return None
    folder.claim(f"wav/{name}").write_bytes(finish_wav(answer.audio))
    return f"wav/{name}"


def _check_extra() -> None:
    missing = [name for name in _NEEDED if not _installed(name)]
    if missing:
        raise output.fail(
            f"The demo needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.\n"
            f"Install it with: {installing('demo')}"
        )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _next() -> str:
    up, again = suggest("stack up"), suggest("demo --endpoint http://127.0.0.1:4318")
    return f"""
Next:
  {up:<{len(again)}}      the backends on this machine, without containers
  {again}      the same, sent to them
Your own service, in the environment that it runs in:
  {installing_elsewhere()}
  export OTEL_SERVICE_NAME=my-tts OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
  otel-tts run -- uvicorn my_service:app"""
