# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A request at a terminal: what it was, where its time went, what was said meanwhile, and why."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from otel_tts import names
from otel_tts.causes.answer import Cause
from otel_tts.causes.ask import Found, Overview
from otel_tts.causes.explain import Why
from otel_tts.causes.period import Period
from otel_tts.causes.stages import Excess
from otel_tts.readers.model import Synthesis
from otel_tts.views import waterfall
from otel_tts.views.printable import printable
from otel_tts.views.uncut import print_uncut
from otel_tts.views.why import compared, moment

UNKNOWN: Final = "–"
_COLORS: Final = {"ok": "green", "anomalous": "yellow", "cancelled": "yellow", "error": "red", "rejected": "yellow"}

_FACTS: Final = {
    "engine": (names.ENGINE, names.ENGINE_VERSION, names.MODEL, names.DEVICE),
    "text": (names.TEXT_LENGTH, names.TEXT_LANGUAGE, names.SEGMENT_COUNT),
    "voice": (names.VOICE, names.VOICE_SOURCE, names.REFERENCE_DURATION, names.REFERENCE_CACHE_HIT),
    "audio": (
        names.AUDIO_DURATION, names.AUDIO_SAMPLE_RATE, names.AUDIO_CHANNELS, names.AUDIO_FORMAT, names.AUDIO_SIZE,
        names.AUDIO_PEAK, names.AUDIO_RMS, names.AUDIO_SILENCE_RATIO, names.AUDIO_CLIPPING_RATIO, names.AUDIO_CLICKS,
        names.AUDIO_ANOMALY,
    ),
    "heard": (names.REAL_TIME_FACTOR, names.TIME_TO_FIRST_BYTE, names.TIME_TO_FIRST_AUDIO, names.STREAM_UNDERRUN),
    "cost": (names.COST, names.COST_CURRENCY),
    "where": ("service.name", "service.version", "host.name", "k8s.pod.name", "process.pid"),
}  # fmt: skip
"""What is told of a request above its waterfall, in lines."""

_UNITS: Final = {one.key: one.unit for one in names.ATTRIBUTES if one.unit and not one.unit.startswith(("{", "1"))}


def show(console: Console, found: Found, period: Period) -> None:
    """Print one request."""
    synthesis = found.synthesis
    outcome = synthesis.outcome or ("no synthesis" if not synthesis.span_id else "outcome unknown")
    head = Text.assemble(
        (f"Request {printable(synthesis.request_id or UNKNOWN)}", "bold"), "  ",
        (printable(outcome), _COLORS.get(outcome, "yellow")),
        f"  {synthesis.waited + synthesis.seconds:.3f} s  at {moment(synthesis.start)}  ",
        (f"trace {printable(synthesis.trace_id)}", "dim"),
    )  # fmt: skip
    console.print(head, soft_wrap=True)
    for title, keys in _FACTS.items():
        told = [fact for key in keys if (fact := _fact(synthesis, key))]
        if told:
            console.print(Text.assemble((f"{title:<7}", "dim"), "  ".join(told)), soft_wrap=True)
    console.print()
    table = waterfall.draw(found.spans, console.width, found.lines)
    if console.width < waterfall.NARROW:
        print_uncut(console, table)
    else:
        console.print(table)
    console.print()
    show_why(console, found.why, period)


def _fact(synthesis: Synthesis, key: str) -> str:
    value = synthesis.attributes.get(key, synthesis.resource.get(key))
    if value is None or value == []:
        return ""
    if isinstance(value, float):
        value = f"{value:.4g}"
    elif isinstance(value, list):
        value = ", ".join(map(str, value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    elif isinstance(value, bool):
        value = str(value).lower()
    unit = {"By": "bytes"}.get(_UNITS.get(key, ""), _UNITS.get(key, ""))
    name = key.removeprefix("tts.").removeprefix("gen_ai.request.")
    return f"{name} {printable(value, 100)}" + (f" {unit}" if unit else "")


def show_why(console: Console, why: Why, period: Period) -> None:
    """Print the causes, each with its evidence; or that nothing stands out, and what it was compared with."""
    console.print(Text("Why", style="bold"))
    for number, cause in enumerate(why.causes, 1):
        _show_cause(console, number, cause)
    if not why.causes:
        console.print("  Nothing stands out.")
    for line in compared(why, period):
        console.print(Text(f"  {printable(line, 1000)}", style="dim"), soft_wrap=True)
    if why.excess is not None:
        print_uncut(console, _parts(why.excess))


def _show_cause(console: Console, number: int, cause: Cause) -> None:
    console.print(Text.assemble(f"  {number}. ", (printable(cause.title), "bold")), soft_wrap=True)
    rows = {
        "because": cause.evidence,
        "touches": f"{cause.touches} of {cause.of} requests" if cause.touches is not None else None,
        "to do": cause.remedy,
        "helped?": cause.check,
    }
    for title, text in rows.items():
        if text:
            console.print(Text.assemble((f"     {title:<8} ", "dim"), printable(text, 1000)), soft_wrap=True)


def _parts(excess: Excess) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="dim")
    table.add_column("stage", no_wrap=True)
    for title in ("took s", "needs s", "excess s", "of it all"):
        table.add_column(title, justify="right", no_wrap=True)
    for part in excess.parts:
        if part.seconds or part.expected > 1e-5:
            share = f"{part.share:.0%}" if part.share is not None and excess.slow else UNKNOWN
            table.add_row(
                printable(part.stage), f"{part.seconds:.3f}", f"{part.expected:.3f}", f"{part.excess:+.3f}", share
            )
    return table


def show_overview(console: Console, found: Overview) -> None:
    """Print a line a request, and what the slow and failed ones share."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("request_id", "began", "outcome"):
        table.add_column(title, no_wrap=True)
    table.add_column("took s", justify="right", no_wrap=True)
    table.add_column("text", justify="right", no_wrap=True)
    for title in ("engine", "voice", "slowest stage", "remarks"):
        table.add_column(title)
    for one in found.requests:
        table.add_row(*_row(one))
    print_uncut(console, table)
    console.print()
    show_why(console, found.why, found.period)


def _row(one: Synthesis) -> tuple[str | Text, ...]:
    stage = max(one.stages, key=lambda stage: one.stages[stage], default=None)
    outcome = printable(one.outcome or UNKNOWN, 20)
    remarks = [*one.anomalies, *([one.error_type] if one.error_type else [])]
    if one.attributes.get(names.COLD_START):
        remarks.append("cold start")
    if one.attributes.get(names.DEVICE_FALLBACK):
        remarks.append("on the CPU")
    return (
        Text(printable(one.request_id or UNKNOWN, 128)),
        moment(one.start),
        Text(outcome, style=_COLORS.get(outcome, "")),
        f"{one.waited + one.seconds:.3f}",
        printable(one.attributes.get(names.TEXT_LENGTH, UNKNOWN), 12),
        Text(printable(one.engine or UNKNOWN, 30)),
        Text(printable(one.voice or UNKNOWN, 30)),
        Text(f"{printable(stage, 30)} {one.stages[stage]:.3f} s" if stage is not None else UNKNOWN),
        Text(printable(", ".join(map(str, remarks)), 100)),
    )
