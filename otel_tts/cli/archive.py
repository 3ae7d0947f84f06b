# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts archive`: log records by day into object storage, verified before anything is removed."""

from __future__ import annotations

import calendar
import re
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from otel_tts.cli import output

if TYPE_CHECKING:
    from otel_tts.archiving.archive import Done
    from otel_tts.archiving.store import Store

_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def archive(
    to: Annotated[
        str, typer.Option(metavar="URL", help="s3://BUCKET/PREFIX, oss://…, cos://…, obs://… or file:///FOLDER.")
    ],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="The Collector's folder of log files.", show_default=False)
    ] = None,
    state: Annotated[Path | None, typer.Option(help="Folder of what is not verified yet.", show_default=False)] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Of the store, where it is not the usual.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Of S3, else AWS_REGION.")] = None,
    keep_days: Annotated[float, typer.Option(min=0, help="Days that verified files stay here.")] = 7.0,
    keep_bytes: Annotated[str, typer.Option(help="Bytes that all files may take here, as in 500M, 20G.")] = "10G",
    expire_days: Annotated[
        int, typer.Option(min=0, help="Days in the store, where this command deletes; 0: the bucket's rule does.")
    ] = 90,
    fetch: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Get the day files of --month instead.", show_default=False)
    ] = None,
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="With --fetch.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
) -> None:
    """Archive the Collector's log records: one file for each UTC day, tts-YYYYMMDD.jsonl.gz, uploaded and read back.

    To be run once a day (a systemd timer and a CronJob are in the collector folder). What is verified is removed here
    after --keep-days, what is not never. Credentials come from the environment or the provider's own chain.

    Exit status: 0 when all is verified that is due, 1 when not, 2 for wrong use.
    """
    with output.explained():
        from otel_tts.archiving.store import Store

        limit = _bytes(keep_bytes)
        store = Store(to, endpoint, region)
        if fetch is not None or month is not None:
            _fetch(store, fetch, month)
            return
        from otel_tts.archiving import figures
        from otel_tts.archiving.archive import Limits, run
        from otel_tts.stack import places

        base = places.state()
        limits = Limits(keep_days, limit, expire_days)
        done = run(folder or base / "archive", state or base / "archived", store, limits, output.say)
        sent = figures.send(done.figures)
    if as_json:
        output.print_json({**asdict(done), "figures_sent": sent})
    else:
        output.say(_told(done, store.shown))
    if not sent:
        output.say("the figures did not reach a Collector (OTEL_EXPORTER_OTLP_ENDPOINT)")
    if done.failed:
        raise output.fail(done.failed)


def _told(done: Done, to: str) -> str:
    expired = f", {done.expired} expired there" if done.expired else ""
    return (
        f"{done.lines} new lines, {done.uploaded} day files verified in {to}{expired}; "
        f"{done.figures.waiting_bytes} of {done.figures.kept_bytes} bytes here wait"
    )


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no number of bytes, as in 500M or 20G", param_hint="--keep-bytes")
    return int(found[1]) * _UNITS[found[2]]


def _fetch(store: Store, folder: Path | None, month: str | None) -> None:
    from otel_tts.archiving.fetching import fetch

    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", month or "")
    if folder is None or found is None or found[1] == "0000":
        raise typer.BadParameter("--fetch FOLDER and --month YYYY-MM go together")
    year, number = int(found[1]), int(found[2])
    last = date(year, number, calendar.monthrange(year, number)[1])
    try:
        files = fetch(store, folder, last.replace(day=1), last)
    except OSError as error:
        raise output.fail(f"{folder}: {error.strerror}") from None
    for path in files:
        typer.echo(path)
    if not files:
        raise output.fail(f"{store.shown} has no day file of {month}.")
