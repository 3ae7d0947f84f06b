# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Write the pages of docs/ that are made from otel_tts (`PAGES` lists them); with --check compare them."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from otel_tts import names, settings

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Written by docs/generate.py (`make docs`): change the tables in otel_tts, not this file. -->"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(value: str) -> str:
    return f"`{value}`" if value else ""


def meanings(head: str, entries: dict[str, str]) -> str:
    return table((head, "meaning"), ((code(name), meaning) for name, meaning in entries.items()))


def attributes(entries: Iterable[names.Attribute]) -> str:
    rows = ((code(a.key), a.type, code(a.unit), a.meaning) for a in entries)
    return table(("attribute", "type", "unit", "meaning"), rows)


def metrics(entries: Iterable[names.Metric]) -> str:
    rows = ((code(m.name), m.kind, code(m.unit), " ".join(map(code, m.labels)), m.meaning) for m in entries)
    return table(("metric", "kind", "unit", "labels", "meaning"), rows)


def edges(entries: Iterable[names.Metric]) -> str:
    """Histograms that share their edges share a line."""
    shared: dict[tuple[float, ...], list[str]] = {}
    for metric in entries:
        if metric.edges:
            shared.setdefault(metric.edges, []).append(code(metric.name))
    rows = ((" ".join(users), " ".join(f"{edge:.15g}" for edge in each)) for each, users in shared.items())
    return table(("histograms", "bucket edges"), rows)


def default(value: Any) -> str:
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, tuple):
        return code(",".join(value))
    return code(f"{value:g}" if isinstance(value, float) else str(value))


def allowed(kind: str) -> str:
    """`span | logs | none` is a choice of words, anything else says in words what to write."""
    *most, last = kind.split(" | ")
    return f"{', '.join(map(code, most))} or {code(last)}" if most else kind


def settings_page() -> str:
    rows = ((code(s.variable), allowed(s.kind), default(s.default), s.meaning) for s in settings.SETTINGS)
    return f"""# Settings

**English** · [简体中文](zh-CN/settings.md)

{NOTE}

Everything that OpenTelemetry has a variable for (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_TRACES_SAMPLER`, …) is set by that variable. What is left is set by these. A value that is not understood is
reported at start and the default stays. `otel-tts settings` shows the effective values.

{table(("variable", "value", "default", "meaning"), rows)}

`OTEL_TTS_CACHE_DIR` says where built servers and downloaded voices are kept (default: `otel-tts` in
`XDG_CACHE_HOME`, else `~/.cache/otel-tts`).
"""


def names_page() -> str:
    stages = {names.STAGE_PREFIX + stage: meaning for stage, meaning in names.STAGES.items()}
    return f"""# Names

{NOTE}

Everything that is emitted, under the instrumentation scope `{names.SCOPE}`. Units are UCUM. What is unknown is
absent, never 0. `gen_ai.*`, `error.type` and `hw.id` follow OpenTelemetry's semantic conventions; `tts.*` and `gpu.*`
are this project's and may still change in a minor release until 1.0, with a line in the changelog.

## Spans

One span per synthesis, named `{names.OPERATION}` and the model, with a child for each stage:

{meanings("span", stages)}

The last part of the name is the value of `{names.STAGE}`.

`{names.SPAN_JOB}` and the name of a page's function is a job of that page's queue, from handing in to result: around
its waiting and its syntheses, with their `{names.REQUEST_ID}` (see [gradio.md](gradio.md)). It has
`{names.OUTCOME}` only where it failed or was given up.

`{names.SPAN_WAIT}` is the time from when a web request's bytes came to when the application got it, below the server
span; `{names.SPAN_ABANDONED}` what an engine did after its listener had left and its synthesis had ended.

## Attributes of the synthesis

{attributes(names.REQUEST_ATTRIBUTES)}

### Values of `{names.OUTCOME}`

{meanings("value", names.OUTCOMES)}

### Values of `{names.FINISH_REASON}`

{meanings("value", names.FINISH_REASONS)}

### Values of `{names.COLD_START_KIND}`

{meanings("value", names.COLD_STARTS)}

### Values of `{names.WAIT_SOURCE}`

{meanings("value", names.WAIT_SOURCES)}

## Attributes of the audio

On the synthesis's span.

{attributes(names.AUDIO_ATTRIBUTES)}

### Values of `{names.AUDIO_ANOMALY}`

{meanings("value", names.ANOMALIES)}

{", ".join(code(name) for name in names.ANOMALIES if name in names.SILENT_FAILURES)} turn the outcome `ok` into \
`{names.Outcome.ANOMALOUS}`; the others are noted on a request that stays `ok`.

The event `{names.FILE_EVENT}` on the synthesis, and where its span has left by then the log line \
`{names.AUDIO_FILE}`, say what a delivered file says of itself: format, size, duration, sample rate, channels,
anomalies.

## Attributes of a server span

Named after the method and the route. Those of OpenTelemetry's conventions of HTTP; what else they have (address, path,
query, client, user agent) is made too and stays behind the privacy gate, unless OTEL_TTS_ALLOW_ATTRIBUTES lists it.
`OTEL_TTS_SERVER_SPAN=contrib` lets OpenTelemetry's instrumentations make the span.

{attributes(names.SERVER_ATTRIBUTES)}

## Attributes of a late event loop

On the span `{names.SPAN_LOOP_LATE}`, which lasts as long as the loop did nothing that was due. What the facts about
waiting and event loops are for: [waiting.md](waiting.md).

{attributes(names.LOOP_ATTRIBUTES)}

### Values of `{names.LOOP_CAUSE}`

{meanings("value", names.LOOP_CAUSES)}

## Attributes of a task, and of a call that is no web request

A task of a queue (Celery, RQ, Dramatiq) has a span of kind CONSUMER, `{names.SPAN_TASK}` and the task's name, in its
producer's trace; a call of gRPC has one of kind SERVER, named after service and method; what a Wyoming client asks for
is `{names.SPAN_WYOMING}`. A task's id is its `{names.REQUEST_ID}`. `{names.OUTCOME}` is there only where it was given
up.

{attributes(names.TASK_ATTRIBUTES)}

## Attributes of a stage

{attributes(names.STAGE_ATTRIBUTES)}

## Attributes of the event `{names.MEMORY_EVENT}`

{attributes(names.MEMORY_ATTRIBUTES)}

## Attributes of metric points only

Beside those above and `{names.REASON}`.

{attributes(names.LABEL_ATTRIBUTES)}

## Metrics

A label has a bounded number of values; the rest are `{names.OTHER}`. In Prometheus, dots become underscores and the
unit and `_total` are appended: `tts.request.duration` is `tts_request_duration_seconds_bucket`.

{metrics(names.METRICS)}

{edges(names.METRICS)}

## Log lines

{meanings("line", names.LOG_LINES)}

Fields, as `key=value` or JSON; those that are unknown are left out:

{meanings("field", names.LOG_FIELDS)}
"""


def engines_page() -> str:
    return runpy.run_path(str(Path(__file__).with_name("engines_page.py")))["page"](NOTE)


def servers_page() -> str:
    return runpy.run_path(str(Path(__file__).with_name("servers_page.py")))["page"](NOTE, table)


def engine_fields_page() -> str:
    return runpy.run_path(str(Path(__file__).with_name("engine_fields_page.py")))["page"](NOTE, table)


def settings_page_zh() -> str:
    return runpy.run_path(str(Path(__file__).with_name("settings_zh.py")))["page"](NOTE, table, default)


PAGES = {
    "settings.md": settings_page,
    "zh-CN/settings.md": settings_page_zh,
    "names.md": names_page,
    "engines.md": engines_page,
    "engine-fields.md": engine_fields_page,
    "servers.md": servers_page,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check compare them. Returns the exit status: 1 for a page that is out of date."""
    if arguments not in ([], ["--check"]):
        print("usage: python docs/generate.py [--check]", file=sys.stderr)
        return 2
    stale = [name for name, page in PAGES.items() if not _is(HERE / name, page())]
    if arguments:
        for name in stale:
            print(f"docs/{name} is not what otel_tts says now; run `make docs`", file=sys.stderr)
        return bool(stale)
    for name in stale:
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"docs/{name} written")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
