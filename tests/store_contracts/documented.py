# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Small servers that behave as the documentation of Tempo's and Loki's HTTP API says. Written, not recorded.

Both are under the AGPL and are not run here; `make test-containers` asks the same of their images.

* Tempo 2.9: https://grafana.com/docs/tempo/latest/api_docs/ ("Search", "Query V2") and
  https://grafana.com/docs/tempo/latest/traceql/construct-traceql-queries/. Of what is not on those pages: ids are
  base64 in JSON (protobuf's rule), a trace id in a search has no leading zeros, and a search over more than
  `max_search_duration` (168 h) is refused (https://grafana.com/docs/tempo/latest/configuration/).
* Loki 3.7: https://grafana.com/docs/loki/latest/reference/loki-http-api/ ("Query logs within a range of time") and
  https://grafana.com/docs/loki/latest/send-data/otel/ (names without dots; what is a label). A period over
  `max_query_length` (30 days and an hour) and more than `max_entries_limit_per_query` (5000) are refused
  (https://grafana.com/docs/loki/latest/configure/#limits_config).

Only what the readers ask is understood; anything else in a query is refused, as a real server refuses what it cannot
parse.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.store_contracts.sent import DAY, S

Reply = tuple[int, Any]
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


class Refused(Exception):
    """Status and text of an answer."""


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: next(iter(pair["value"].values())) for pair in attributes}


class FakeTempo:
    """In-memory traces behind `/api/search` and `/api/v2/traces/ID`."""

    def __init__(self) -> None:
        self._spans: list[tuple[dict[str, Any], dict[str, Any]]] = []  # with their resource

    def add(self, document: dict[str, Any]) -> None:
        for of in document["resourceSpans"]:
            self._spans += [(span, of["resource"]) for scope in of["scopeSpans"] for span in scope["spans"]]

    def answer(self, path: str, query: dict[str, str]) -> Reply:
        if path == "/api/echo":
            return 200, "echo"
        if path == "/status/config":
            return 200, "compactor:\n    compaction:\n        block_retention: 1440h0m0s\n"
        if path == "/api/search":
            return self._search(query)
        if found := re.fullmatch("/api/v2/traces/([0-9a-f]{1,32})", path):
            return self._trace(found[1].zfill(32))
        return 404, "404 page not found"

    def _trace(self, trace: str) -> Reply:
        mine = [(span, resource) for span, resource in self._spans if span["traceId"] == trace]
        if not mine:
            return 404, ""
        return 200, {"trace": {"resourceSpans": [_batch(span, resource) for span, resource in mine]}, "metrics": {}}

    def _search(self, query: dict[str, str]) -> Reply:
        start, end = int(query["start"]) * S, int(query["end"]) * S
        if end - start > 168 * 3600 * S:
            raise Refused(400, "range specified by start and end exceeds 168h0m0s")
        spansets = _traceql(query["q"])
        traces: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
        for span, resource in self._spans:
            traces.setdefault(span["traceId"], []).append((span, resource))
        found = []
        for trace, spans in traces.items():
            begins = [int(span["startTimeUnixNano"]) for span, _ in spans]
            ends = [int(span["endTimeUnixNano"]) for span, _ in spans]
            if min(begins) <= end and max(ends) >= start and all(any(map(meets, spans)) for meets in spansets):
                found.append({"traceID": trace.lstrip("0"), "startTimeUnixNano": str(min(begins))})
        return 200, {"traces": found[: int(query["limit"])], "metrics": {}} if found else {"metrics": {}}


def _batch(span: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    written = {
        **span, "traceId": _base64(span["traceId"]), "spanId": _base64(span["spanId"]),
        "kind": f"SPAN_KIND_{_KINDS[span['kind']]}",
    }  # fmt: skip
    if "parentSpanId" in span:
        written["parentSpanId"] = _base64(span["parentSpanId"])
    if code := span["status"].get("code"):
        written["status"] = {**span["status"], "code": ("", "STATUS_CODE_OK", "STATUS_CODE_ERROR")[code]}
    return {"resource": resource, "scopeSpans": [{"scope": {"name": "otel_tts"}, "spans": [written]}]}


def _base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


Meets = Callable[[tuple[dict[str, Any], dict[str, Any]]], bool]


def _traceql(query: str) -> list[Meets]:
    """`{ condition && … } && { … }`: each set of conditions has to be met by one span."""
    condition = rf"(?:(?:span|resource)\.[\w.]+ = {_STRING}|duration >= \d+ns)"
    spanset = rf"\{{ {condition}(?: && {condition})* \}}"
    if not re.fullmatch(rf"{spanset}(?: && {spanset})*", query, re.DOTALL):
        raise Refused(400, f"invalid TraceQL query: parse error at line 1: {query}")
    return [_meets(re.findall(condition, found, re.DOTALL)) for found in re.findall(spanset, query, re.DOTALL)]


def _meets(conditions: list[str]) -> Meets:
    def meets(one: tuple[dict[str, Any], dict[str, Any]]) -> bool:
        span, resource = one
        for condition in conditions:
            field, operator, value = condition.split(" ", 2)
            if operator == ">=":
                if int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) < int(value[:-2]):
                    return False
            else:
                scope, _, key = field.partition(".")
                said = plain((span if scope == "span" else resource)["attributes"]).get(key)
                if said != json.loads(value):
                    return False
        return True

    return meets


class FakeLoki:
    """In-memory records behind `/loki/api/v1/query_range`."""

    def __init__(self) -> None:
        self._records: list[tuple[int, str, dict[str, str], dict[str, str]]] = []  # time, line, labels, metadata

    def add(self, document: dict[str, Any]) -> None:
        for of in document["resourceLogs"]:
            resource = {key.replace(".", "_"): str(value) for key, value in plain(of["resource"]["attributes"]).items()}
            labels = {"service_name": resource.pop("service_name")}
            for record in of["scopeLogs"][0]["logRecords"]:
                own = {
                    **resource, "scope_name": "otel_tts", "severity_text": record["severityText"],
                    "severity_number": str(record["severityNumber"]), "detected_level": record["severityText"].lower(),
                    "observed_timestamp": record["observedTimeUnixNano"], "trace_id": record["traceId"],
                    "span_id": record["spanId"],
                }  # fmt: skip
                own |= {key.replace(".", "_"): str(value) for key, value in plain(record["attributes"]).items()}
                said = {key: value for key, value in own.items() if value}
                self._records.append((int(record["timeUnixNano"]), record["body"]["stringValue"], labels, said))

    def answer(self, path: str, query: dict[str, str]) -> Reply:
        if path == "/config":
            return 200, "limits_config:\n  max_query_length: 30d1h\n  retention_period: 1440h\n"
        if path == "/loki/api/v1/labels":
            return 200, {"status": "success", "data": ["service_name"]}
        if path != "/loki/api/v1/query_range":
            return 404, "404 page not found"
        start, end, limit = int(query["start"]), int(query["end"]), int(query["limit"])
        if end - start > 30 * DAY + 3600 * S:
            raise Refused(400, "the query time range exceeds the limit (query length: …, limit: 30d1h)")
        if limit > 5000:
            raise Refused(400, "max entries limit per query exceeded, limit > max_entries_limit_per_query (5000)")
        meets = _logql(query["query"])
        found = [one for one in self._records if start <= one[0] < end and meets({**one[2], **one[3]})]
        found.sort(key=lambda one: one[0], reverse=query["direction"] == "backward")
        streams = [
            {"stream": {**labels, **own}, "values": [[str(time), line]]} for time, line, labels, own in found[:limit]
        ]
        return 200, {"status": "success", "data": {"resultType": "streams", "result": streams, "stats": {}}}


def _logql(query: str) -> Callable[[dict[str, str]], bool]:
    """`{service_name="…"} | label="…" | …`, or with `=~".+"` for any service."""
    parsed = re.fullmatch(rf"\{{service_name(=|=~)({_STRING})\}}((?: \| \w+={_STRING})*)", query, re.DOTALL)
    if parsed is None:
        raise Refused(400, f"parse error at line 1: syntax error: {query}")
    operator, service, rest = parsed.groups()
    wanted = {name: json.loads(value) for name, value in re.findall(rf" \| (\w+)=({_STRING})", rest, re.DOTALL)}
    if operator == "=":
        wanted["service_name"] = json.loads(service)
    return lambda labels: all(labels.get(name) == value for name, value in wanted.items())


@contextmanager
def served(answer: Callable[[str, dict[str, str]], Reply]) -> Iterator[str]:
    """The URL of a server on this machine that answers each GET with what `answer` returns for path and query."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            try:
                status, body = answer(parts.path, query)
            except Refused as refused:
                status, body = refused.args
            text = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
