# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Asks a function of a Gradio page for speech, as its clients do: hand in a job, hear how it ends, fetch the file."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, cast
from urllib.parse import quote

from otel_tts.watching.asking import Answer, ask

_PREFIXES: Final = ("/gradio_api", "")
"""Where a page's API lies: since Gradio 5, and before."""
_is_id: Final = re.compile(r"[A-Za-z0-9_-]{1,128}").fullmatch


def speak(page: str, function: str, data: Any, headers: Mapping[str, str], within_s: float) -> Answer:
    """Return the audio that `function` of `page` makes of `data`, a list of its inputs, all in `within_s`."""
    began = time.monotonic()

    def left_s() -> float:
        return max(0.1, within_s - (time.monotonic() - began))

    answer = Answer(0.0)
    for prefix in _PREFIXES:
        call = f"{page.rstrip('/')}{prefix}/call/{function.strip('/')}"
        sent = {"Content-Type": "application/json", **headers}
        answer = ask(call, left_s(), method="POST", headers=sent, body=json.dumps({"data": data}).encode())
        if answer.status == 200:
            job = _read_id(answer.body)
            answer = ask(f"{call}/{job}", left_s(), headers=headers) if job else replace(answer, status=None)
            answer = _fetch(f"{page.rstrip('/')}{prefix}", answer, headers, left_s())
        if answer.status != 404:
            break
    return replace(answer, seconds=time.monotonic() - began)


def _read_id(body: bytes) -> str | None:
    try:
        job = json.loads(body)["event_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return job if isinstance(job, str) and _is_id(job) else None


def _fetch(api: str, ended: Answer, headers: Mapping[str, str], within_s: float) -> Answer:
    """Fetch the file that a job's stream of events names at its end."""
    if ended.status != 200:
        return ended if ended.reason else replace(ended, status=None, reason="the page took no job")
    lines = ended.body.decode(errors="replace").splitlines()
    said = next((data.removeprefix("data: ") for event, data in pairwise(lines) if event == "event: complete"), None)
    path = next(_paths(_parse(said)), None) if said is not None else None
    if path is None:
        return replace(ended, status=None, reason="the page's function failed" if said is None else "it gave no file")
    return ask(f"{api}/file={quote(path)}", within_s, headers=headers)


def _parse(said: str) -> Any:
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return None


def _paths(said: Any) -> Iterator[str]:
    """The files in an answer, in their order; components wrap them in lists and tables of their own."""
    if isinstance(said, dict):
        table = cast("dict[str, Any]", said)
        if isinstance(path := table.get("path"), str):
            yield path
        else:
            for inner in table.values():
                yield from _paths(inner)
    elif isinstance(said, list):
        for inner in cast("list[Any]", said):
            yield from _paths(inner)
