# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a scene's processes said, as one text: OTLP decoded by the protobuf classes, and the lines on stderr.

Nothing of a message is left out. The order is by time and content, since batches and threads have none of their own.
Ids are random: they are numbered in the order in which the text names them, so the text shows which are the same.
Times are seconds since the scene's beginning, for the clock is ours. What is masked stands in `MASKED` and `LINES`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.same.fixed import EPOCH_NS

SIGNALS: Final = {
    "traces": (ExportTraceServiceRequest, "resourceSpans", "scopeSpans", "spans"),
    "metrics": (ExportMetricsServiceRequest, "resourceMetrics", "scopeMetrics", "metrics"),
    "logs": (ExportLogsServiceRequest, "resourceLogs", "scopeLogs", "logRecords"),
}

MASKED: Final = (
    "host.name", "process.pid", "process.runtime.version", "service.instance.id", "telemetry.distro.version",
    "telemetry.sdk.version",
)  # fmt: skip
"""Attributes of the resource that differ by machine, process or version: only that they are there is told."""
LEFT_OUT: Final = re.compile(r"tts\.runtime\.")
"""Attributes of the resource that tell what else is installed."""
LINES: Final = (
    (re.compile(r"(?<=otel-tts )\d\S*(?=:)"), "*"),  # our version
    (re.compile(r"(?<=process )\d+"), "*"),
    (re.compile(re.escape(f"{Path(__file__).parents[2]}/")), ""),
    (re.compile(r"(?<=\.py:)\d+|(?<=\"code\.line\.number\": )\d+"), "0"),  # of the scenes, and of Python's own modules
)
"""Of all text: patterns and what takes their place."""
ID: Final = re.compile(r"(?<![\w.-])(?:[0-9a-f]{32}|[0-9a-f]{16})(?![\w-])")
WIDTH: Final = 118


def tell(about: str, bodies: Mapping[str, Iterable[bytes]], stderr: str) -> str:
    """Return the text of one scene."""
    said = {"about": about, "processes": _processes(bodies), "stderr": _in_order(stderr.splitlines())}
    return _number(_shown(said)) + "\n"


# --- OTLP ---------------------------------------------------------------------------------------------------------


def _processes(bodies: Mapping[str, Iterable[bytes]]) -> list[Any]:
    """Return all by process, signal and scope."""
    found: dict[str, dict[str, Any]] = {}
    for signal, (kind, groups, scopes, items) in SIGNALS.items():
        for body in bodies[signal]:
            for group in MessageToDict(kind.FromString(body))[groups]:
                resource = _plain(group.pop("resource"))["attributes"]
                process = found.setdefault(json.dumps(resource, sort_keys=True), {"resource": _masked(resource)})
                for each in group.pop(scopes):
                    _add(process, items, _scope(each), _plain(each.pop(items)))
                    assert not each, each
                assert not group, group
    for process in found.values():
        for items in {items for *_, items in SIGNALS.values()} & process.keys():
            process[items] = {scope: _settled(items, said) for scope, said in process[items].items()}
    return _in_order(found.values())


def _add(process: dict[str, Any], items: str, scope: str, said: list[Any]) -> None:
    process.setdefault(items, {}).setdefault(scope, []).extend(said)


def _settled(items: str, said: list[Any]) -> list[Any]:
    """Of metrics, which add up from export to export, only the last; all else in its order."""
    return _in_order({metric["name"]: metric for metric in said}.values() if items == "metrics" else said)


def _scope(group: dict[str, Any]) -> str:
    """Return a scope's name, whether it has a version, and its schema."""
    scope, schema = group.pop("scope"), group.pop("schemaUrl", None)
    version = " *" if scope.pop("version", None) else ""
    name = scope.pop("name")
    assert not scope, scope
    return f"{name}{version}" + (f" {schema}" if schema else "")


def _masked(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: "*" if key in MASKED else value for key, value in resource.items() if not LEFT_OUT.match(key)}


def _plain(message: Any) -> Any:
    """Return a decoded message with attributes as mappings, ids in hex, times in seconds, integers as such."""
    if isinstance(message, list):
        return [_plain(item) for item in message]
    if isinstance(message, dict):
        return {key: _FIELDS.get(key, _kept)(value) for key, value in message.items()}
    return message


def _kept(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else _rounded(_plain(value))


def _attributes(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    named = {pair["key"]: _value(pair.get("value", {})) for pair in pairs}
    assert len(named) == len(pairs), pairs
    return named


def _value(value: dict[str, Any]) -> Any:
    if not value:
        return None
    ((kind, inner),) = value.items()
    if kind == "arrayValue":
        return [_value(item) for item in inner.get("values", ())]
    if kind == "kvlistValue":
        return _attributes(inner.get("values", []))
    return int(inner) if kind == "intValue" else _rounded(inner)


def _rounded(value: Any) -> Any:
    """Return a number to nine digits: what comes after them, CPUs and versions of numpy do not agree on."""
    return float(f"{round(value, 12):.9g}") if isinstance(value, float) else value


def _hex(value: str) -> str:
    return base64.b64decode(value).hex()


def _seconds(value: str) -> str:
    seconds, rest = divmod(int(value) - EPOCH_NS, 1_000_000_000)
    return f"{seconds}.{rest:09d}"


def _numbers(values: list[Any]) -> list[Any]:
    return [int(value) if isinstance(value, str) else value for value in values]


_FIELDS: Final[dict[str, Callable[[Any], Any]]] = {
    "attributes": _attributes,
    "filteredAttributes": _attributes,
    "body": _value,
    "traceId": _hex,
    "spanId": _hex,
    "parentSpanId": _hex,
    "startTimeUnixNano": _seconds,
    "endTimeUnixNano": _seconds,
    "timeUnixNano": _seconds,
    "observedTimeUnixNano": _seconds,
    "dataPoints": lambda points: _in_order(_plain(points)),
    "bucketCounts": _numbers,
    "name": str,
    "description": str,
    "unit": str,
}


# --- text ---------------------------------------------------------------------------------------------------------


def _in_order(items: Iterable[Any]) -> list[Any]:
    """Sort by time and name, then by content, for which ids do not count."""
    return sorted(items, key=_place)


def _place(item: Any) -> tuple[float, str, str]:
    text = json.dumps(item, sort_keys=True, ensure_ascii=False)
    for pattern, mask in LINES:
        text = pattern.sub(mask, text)
    said = item if isinstance(item, dict) else {}
    at = said.get("startTimeUnixNano", said.get("timeUnixNano", 0))
    return float(at), said.get("name", ""), ID.sub("", text)


def _number(text: str) -> str:
    """Mask what varies, and number ids by their first mention."""
    for pattern, mask in LINES:
        text = pattern.sub(mask, text)
    known: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        kind = "id" if len(match[0]) == 32 else "span"
        return known.setdefault(match[0], f"{kind}-{sum(each.startswith(kind) for each in known.values()) + 1}")

    return ID.sub(name, text)


def _shown(value: Any, indent: str = "", room: int = WIDTH) -> str:
    """Return JSON with sorted keys; what fits stands in one line."""
    line = json.dumps(value, sort_keys=True, ensure_ascii=False)
    fits = len(line) <= room - len(indent)
    if fits or not isinstance(value, (dict, list)) or not value or all(isinstance(each, float) for each in value):
        return line
    inner = indent + "  "
    if isinstance(value, list):
        parts = [inner + _shown(item, inner) for item in value]
    else:
        parts = [f"{inner}{json.dumps(key)}: {_shown(value[key], inner, room - len(key) - 4)}" for key in sorted(value)]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    return opening + "\n" + ",\n".join(parts) + f"\n{indent}{closing}"
