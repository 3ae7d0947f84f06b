# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts report`: a month for who pays for it, as a page and on paper."""

from __future__ import annotations

import locale
import os
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from otel_tts.cli import output
from otel_tts.trouble import Trouble, WrongUse

if TYPE_CHECKING:  # read where they are used: `otel-tts --help` does not wait for them
    from otel_tts.readers.stores import MetricStore
    from otel_tts.reporting.report import Price, Report
    from otel_tts.reporting.sheet import Sheet
    from otel_tts.reporting.wording import Language

_NEEDED: Final = {".html": ("jinja2",), ".pdf": ("typst", "justmytype_intl_cjk")}


def report(
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Which month; without it the last one that is over.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page for a browser.", show_default=False)
    ] = None,
    pdf: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a PDF.", show_default=False)] = None,
    language: Annotated[
        str | None, typer.Option(help="en or zh; without it that of this terminal.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder of files, as OTEL_TTS_FILE_DIR.", show_default=False)
    ] = None,
    metrics: Annotated[str | None, typer.Option(metavar="URL", help="Store of metrics: Prometheus.")] = None,
    archive: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Day files of the archive: why requests failed.", show_default=False),
    ] = None,
    service: Annotated[str | None, typer.Option(help="One service, by its name.")] = None,
    gpu_hour: Annotated[
        float | None,
        typer.Option(metavar="PRICE", min=0, max=1e6, help="What an hour of a GPU costs, instead of tts.cost."),
    ] = None,
    currency: Annotated[str, typer.Option(help="The currency of --gpu-hour.")] = "USD",
    zone: Annotated[
        str | None, typer.Option(help="Time zone of the days, as Asia/Shanghai; without it this machine's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
) -> None:
    """Write a month's report for who pays for the service: use, speed, failures, cost, and what to do next month.

    Without --html, --pdf and --json both files are written into this folder. Each figure is exact, what is missing is
    said, and an appendix says how each was made. Needs the extra `report`, except for --json.

    Exit status: 0 when it was written, 1 when nothing is known of the month, 2 for wrong use.
    """
    from otel_tts.readers.choice import NoStore

    with output.explained(NoStore):
        try:
            spoken = _language(language)
            made = _made(month, folder, metrics, archive, service, _price(gpu_hour, currency), zone)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if html is None and pdf is None and not as_json:
            name = f"tts-report-{made.month}.{spoken}"
            html, pdf = Path(f"{name}.html"), Path(f"{name}.pdf")
        _write(made, spoken, html, pdf)
        if as_json:
            from otel_tts.reporting import plain
            from otel_tts.views.printable import readable

            output.print_json(readable(plain.document(made, spoken)))
    for gap in made.gaps:
        output.say(f"may be incomplete: {gap.text}")


def _made(
    month: str | None,
    folder: Path | None,
    metrics: str | None,
    archive: Path | None,
    service: str | None,
    price: Price | None,
    zone: str | None,
) -> Report:
    from otel_tts.reporting.report import make
    from otel_tts.reporting.zones import zone_of

    days_of = zone_of(zone)
    last = datetime.now(days_of).replace(day=1) - timedelta(days=1)
    return make(month or f"{last:%Y-%m}", _store(folder, metrics), days_of, service, price, archive)


def _store(folder: Path | None, metrics: str | None) -> MetricStore:
    """The store of metrics; it is said which and why. Raises NoStore, ValueError."""
    from otel_tts.readers.choice import Places, choose_metrics

    if folder is not None or metrics is not None:
        chosen = choose_metrics(Places(folder, metrics=metrics))
    else:
        from otel_tts.stack.run import Stack
        from otel_tts.stack.stores import addresses

        chosen = choose_metrics(Places(stack=addresses(Stack())))
    output.say(str(chosen))
    return chosen.store


def _price(amount: float | None, currency: str) -> Price | None:
    from otel_tts.reporting.report import Price

    if not currency.isascii() or not currency.isalpha() or len(currency) != 3:
        raise WrongUse(f"{currency!r} is no currency: write its three letters, as CNY.")
    return None if amount is None else Price(amount, currency.upper())


def _language(asked: str | None) -> Language:
    if asked is None:
        here = os.environ.get("LC_ALL") or os.environ.get("LANG") or locale.getlocale()[0] or ""
        return "zh" if here.lower().startswith("zh") else "en"
    if asked == "en" or asked == "zh":
        return asked
    raise WrongUse(f"{asked!r} is none of en and zh.")


def _write(made: Report, language: Language, html: Path | None, pdf: Path | None) -> None:
    """Write what is asked for, and say where it is."""
    if html is None and pdf is None:
        return
    from otel_tts.reporting import sheet

    written = sheet.of(made, language)
    if html is not None:
        _put(html, _page(written))
    if pdf is not None:
        _put(pdf, _paper(written, made.until))


def _page(sheet: Sheet) -> bytes:
    _need(".html")
    from otel_tts.reporting import page

    return page.of(sheet).encode()


def _paper(sheet: Sheet, until: int) -> bytes:
    _need(".pdf")
    from otel_tts.reporting import paper

    return paper.of(sheet, until)


def _need(kind: str) -> None:
    if missing := [name for name in _NEEDED[kind] if find_spec(name) is None]:
        from otel_tts.commands import installing

        said = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, which a {kind} file needs."
        raise Trouble(f"{said}\nInstall it with: {installing('report')}")


def _put(path: Path, text: bytes) -> None:
    try:
        path.write_bytes(text)
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {error.strerror}") from None
    typer.echo(str(path))
