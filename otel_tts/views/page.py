# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One page for a browser that needs nothing else: requests with their waterfalls, lines, audio facts and memory.

Everything stands in it as data, which the page's own script writes as text and never as markup; its policy allows that
script and no other, and nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from otel_tts import names
from otel_tts.causes import explain
from otel_tts.causes.ask import Overview
from otel_tts.causes.period import Period
from otel_tts.readers.filters import Filter
from otel_tts.readers.model import LogLine, Span, Synthesis
from otel_tts.readers.stores import LogStore
from otel_tts.readers.syntheses import of_trace
from otel_tts.views import plain, why
from otel_tts.views.printable import readable
from otel_tts.views.waterfall import MOST, lay_out

_BRIEF: Final = (
    "request_id", "trace_id", "span_id", "start_unix_nano", "seconds", "waited_seconds", "outcome", "stages_seconds",
)  # fmt: skip
_LISTED: Final = frozenset(
    {
        names.TEXT_LENGTH, names.ENGINE, names.VOICE, names.AUDIO_ANOMALY, names.ERROR_TYPE, names.COLD_START,
        names.DEVICE_FALLBACK,
    }
)  # fmt: skip
"""What the list shows of a request."""


def of(traces: Sequence[Sequence[Span]], logs: LogStore | None, found: Overview) -> str:
    """The page for the traces of what was found, with the lines of each where there is a store of them."""
    requests = [made for spans in traces for made in requests_of(spans, logs, found.period)]
    return filled({"requests": requests, "why": why.for_page(found.why, found.period)})


def listed(found: Overview) -> str:
    """The page for very many: each in a few words, its trace fetched from beside the page when it is looked at."""
    requests = [_briefly(one) for one in found.requests]
    return filled({"requests": requests, "why": why.for_page(found.why, found.period)}, served=True)


def filled(data: dict[str, Any], served: bool = False) -> str:
    """The page's text with `data` in it. Where it is `served` it may fetch from its own server, and nothing else."""
    text = files("otel_tts.views").joinpath("page.html").read_text(encoding="utf-8")
    style, script = (re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("style", "script"))
    assert style is not None and script is not None
    policy = (
        f"default-src 'none'; style-src '{_hash(style[1])}'; script-src '{_hash(script[1])}'; base-uri 'none'; "
        "form-action 'none'" + ("; connect-src 'self'" if served else "")
    )
    # Nothing in the data ends its block: there is no < in it.
    said = json.dumps(readable(data), allow_nan=False).replace("<", "\\u003c")
    return text.replace("{policy}", policy, 1).replace("{data}", said, 1)


def _briefly(one: Synthesis) -> dict[str, Any]:
    said = plain.synthesis(one)
    kept = {key: value for key, value in one.attributes.items() if key in _LISTED}
    return {**{key: said[key] for key in _BRIEF}, "attributes": kept, "resource": {}}


def requests_of(spans: Sequence[Span], logs: LogStore | None, period: Period) -> list[dict[str, Any]]:
    """What the page shows of a trace; why it went so is told by comparison with `period`."""
    rows = [
        {
            **plain.span(row.span), "depth": len(row.branch) // 3, "offset": row.offset, "length": row.length,
        }
        for row in lay_out(spans)[:MOST]
    ]  # fmt: skip
    lines = [plain.line(line) for line in _lines(spans, logs)]
    return [
        {
            **plain.synthesis(one), "spans": rows, "lines": lines,
            "why": why.for_page(explain.of_request(one, spans, period), period),
        }
        for one in of_trace(spans, bare=True)
    ]  # fmt: skip


def _lines(spans: Sequence[Span], logs: LogStore | None) -> list[LogLine]:
    if logs is None or not spans:
        return []
    hour = 3600 * 10**9
    since, until = max(0, min(span.start for span in spans) - hour), max(span.end for span in spans) + hour
    return sorted(logs.find(Filter(since, until, trace_id=spans[0].trace_id, limit=MOST)), key=lambda line: line.time)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
