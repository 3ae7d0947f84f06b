# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Seams of engines that have no table yet, and of servers, as their tables will name them: held against the wheels too.

A line is ``module:dotted.name(parameters) kind``: the parameters and the kind of callable that a table would rely on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DRAFTS: dict[str, tuple[str, ...]] = {
    "vocos": ("vocos:Vocos.decode function",),
}

SERVERS: dict[str, tuple[str, ...]] = {
    "gradio": (
        "gradio.queueing:Event.__init__ function",
        "gradio.queueing:Queue.process_events coroutine",
        "gradio.queueing:Queue.push(body, request, username) coroutine",
        "gradio.queueing:Queue.clean_events(session_hash, event_id) coroutine",
        "gradio.queueing:Queue.remove_from_queue coroutine",
        "gradio.queueing:Queue.set_progress(event_id) function",
        "gradio.route_utils:call_process_api coroutine",
        "gradio.route_utils:get_fn(blocks, api_name, body) function",
        "gradio.routes:App class",
    ),
}
"""What is hooked in servers, in their newest version; older ones run in tests/gradio_pages."""

_LINE = re.compile(r"(?P<module>[\w.]+):(?P<target>[\w.]+)(?:\((?P<parameters>[\w, ]+)\))? (?P<kind>[a-z ]+)")


@dataclass(frozen=True)
class Draft:
    """One line, taken apart."""

    module: str
    target: str
    parameters: tuple[str, ...]
    kind: str

    @classmethod
    def read(cls, line: str) -> Draft:
        parts = _LINE.fullmatch(line)
        assert parts is not None, line
        named = tuple(each.strip() for each in (parts["parameters"] or "").split(",") if each.strip())
        return cls(parts["module"], parts["target"], named, parts["kind"])
