# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The privacy gate's decisions, on plain values: what of a span, a log line or a metric may leave the process.

What is not listed in `otel_tts.privacy.allowed` does not leave. Every method returns the very object that it was given
when nothing had to go, so that clean telemetry costs one look per key. `otel_tts.privacy.gate` applies the decisions.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.trace import SpanKind

from otel_tts import names
from otel_tts.privacy import allowed
from otel_tts.privacy.allowed import FREE, Rule
from otel_tts.settings import Settings

redacted: Final[Counter[str]] = Counter()
"""What the gates of this process removed, by reason: the source of ``otel_tts.redacted``."""

dropped: Final[Counter[str]] = Counter()
"""Whole spans, log records and metrics that the gates of this process held back, by reason."""

public_voices: Final[set[str]] = set()
"""Names of voices that may leave though they are no token: presets of engines, and OTEL_TTS_VOICES."""

REDACTED: Final = "redacted"
"""Stands for a name that may not leave."""

MAX_BODY: Final = 8192
MAX_DESCRIPTION: Final = 512
_MAX_STACK: Final = 16_384
_MAX_VOICES: Final = 1000
_MAX_CACHED: Final = 1000
_MAX_KEYS: Final = 50

_SERVER: Final = SpanKind.SERVER
_METHODS: Final = frozenset((*allowed.METHODS, "HTTP", "WS")) - {"_OTHER"}
_ASGI_PARTS: Final = ("http send", "http receive", "websocket send", "websocket receive")
_FASTAPI: Final = "opentelemetry.instrumentation.fastapi"
_BACKGROUND: Final = "BackgroundTask "
_STAGES: Final = frozenset(names.STAGE_PREFIX + stage for stage in names.STAGES)
_OWN_SPANS: Final = _STAGES | {names.OPERATION, names.SPAN_JOB, names.SPAN_TASK, names.SPAN_WYOMING}

_NAMED: Final = frozenset({names.SPAN_JOB, names.SPAN_TASK})
"""Own spans whose names end with that of a function."""

_OWN_EVENTS: Final = frozenset({names.MEMORY_EVENT, "exception"})

_is_token = re.compile(allowed.TOKEN_FORM).fullmatch
_is_name = re.compile(allowed.NAME_FORM).fullmatch
_is_own_stage = re.compile(r"tts\.[a-z][a-z0-9_.]{0,47}").fullmatch
_is_model = re.compile(allowed.MODEL_FORM).fullmatch
_is_scope = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,127}").fullmatch
_is_version = re.compile(r"[A-Za-z0-9._+-]{0,64}").fullmatch
_is_schema = re.compile(r"https://opentelemetry\.io/schemas/[0-9a-z.-]{1,32}").fullmatch
_is_unit = re.compile(r"[A-Za-z0-9{}/%._*^()\[\]'-]{0,63}").fullmatch
_is_severity = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}").fullmatch
# The one member of a tracestate that a Collector needs: sampling thresholds and randomness, in hexadecimal digits.
_is_sampling = re.compile(r"(?:th|rv):[0-9a-f]{1,14}(?:;(?:th|rv):[0-9a-f]{1,14})?").fullmatch

_ID: Final = r"[A-Za-z0-9._:-]{1,128}"
_VALUE: Final = r"[A-Za-z0-9_.:/+@,%<>-]{0,128}"
_KEYS: Final = "|".join(map(re.escape, sorted(names.LOG_FIELDS, key=len, reverse=True)))
_EVENTS: Final = "|".join(event for event in names.LOG_LINES if event != names.STAGE_TIME)
_is_line = re.compile(
    rf"(?:{_EVENTS})(?: (?:{_KEYS})={_VALUE}){{0,32}}"
    rf"|{names.STAGE_TIME} request_id={_ID}(?: request_id\.offered={_ID})?"
    r"(?: [a-z][a-z0-9_.]{0,127}=[0-9.e+-]{1,24}){0,64}"
).fullmatch

_DESCRIBED: Final = (names.SCOPE, "opentelemetry.instrumentation.", "opentelemetry-sdk", "fastapi")
"""Instrumentation scopes whose metric descriptions are constants of a library."""


class Policy:
    """Decides what may leave.

    `allow` adds attribute names, or prefixes that end in ``*``, whose values may be any short line of text.
    `app_logs` is OTEL_TTS_EXPORT_APP_LOGS. `voices` may be exported by name.
    """

    def __init__(self, allow: Iterable[str] = (), app_logs: str = "metadata", voices: Iterable[str] = ()) -> None:
        self.redacted = redacted
        self.dropped = dropped
        self.refusal: str | None = None
        self._app_logs = app_logs
        allow = tuple(allow)
        # A lone * would open the gate; it is no prefix.
        self._prefixes = tuple(name[:-1] for name in allow if name.endswith("*") and len(name) > 1)
        added = dict.fromkeys((name for name in allow if not name.endswith("*")), FREE)
        for voice in voices:
            let_voice(voice)
        by_name = Rule(allowed.TOKEN_FORM, remember=False, known=public_voices)
        self._rules: dict[str, Rule] = {**allowed.ATTRIBUTES, names.VOICE: by_name, **added}
        self._of_scope = {
            scope: {**self._rules, **more, **added} for scope, more in allowed.ATTRIBUTES_OF_SCOPE.items()
        }
        self._labels = {key: rule for key, rule in self._rules.items() if key not in allowed.NOT_LABELS} | added
        self._scoped = {scope: {**self._labels, **more} for scope, more in allowed.LABELS_OF_SCOPE.items()}
        self._coded = {**self._rules, **allowed.CODE, **added}
        self._resource: dict[str, Rule] = {**allowed.RESOURCE, **added}
        self._names: set[str] = set(_OWN_SPANS)
        self._metrics: dict[tuple[str, str | None, str | None, str], tuple[str, str | None, str | None] | None] = {}
        self._dropped_keys: dict[str, None] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Policy:
        """Return the policy that OTEL_TTS_ALLOW_ATTRIBUTES, OTEL_TTS_EXPORT_APP_LOGS and OTEL_TTS_VOICES ask for."""
        return cls(settings.allow_attributes, settings.export_app_logs, settings.voices)

    def trial(self) -> Policy:
        """Return the same rules with counts of their own, and with no bodies let through: what the canary runs with."""
        twin = copy.copy(self)
        twin.redacted, twin.dropped, twin.refusal = Counter(), Counter(), None
        twin._names, twin._metrics, twin._dropped_keys = set(_OWN_SPANS), {}, {}
        if twin._app_logs == "body":
            twin._app_logs = "metadata"
        return twin

    # --- attributes --------------------------------------------------------------------------------------------------

    def attributes(self, attributes: Mapping[str, Any], scope: str = "") -> Mapping[str, Any]:
        """Return what may leave of the attributes of a span or a link; `scope` is the span's instrumentation's name."""
        return self._filter(attributes, self._of_scope.get(scope, self._rules))

    def labels(self, labels: Mapping[str, Any], scope: str) -> Mapping[str, Any]:
        """Return what may leave of a metric point's labels; `scope` is the instrumentation scope's name."""
        return self._filter(labels, self._scoped.get(scope, self._labels))

    def resource(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what may leave of the resource; `dropped_resource_keys` tells what did not."""
        rules = self._resource
        runtime = {key: allowed.VERSION for key in attributes if key.startswith(allowed.RUNTIME_PREFIX)}
        kept = self._filter(attributes, {**rules, **runtime} if runtime else rules, "resource")
        for key in attributes:
            if key not in kept and len(self._dropped_keys) < _MAX_KEYS:
                self._dropped_keys[key if _is_token(key) else REDACTED] = None
        return kept

    def dropped_resource_keys(self) -> tuple[str, ...]:
        """Return the resource attributes that were set but do not leave, for the one line that says so."""
        return tuple(self._dropped_keys)

    def _filter(
        self, attributes: Mapping[str, Any], rules: Mapping[str, Rule], reason: str = "attribute"
    ) -> Mapping[str, Any]:
        # The loop that every attribute of every span goes through; it ends at the first that may not leave.
        try:
            for key, value in attributes.items():
                rule = rules[key]
                kind = type(value)  # pyright: ignore[reportUnknownVariableType]
                if kind is str:
                    if value in rule.known or rule.fits_text(value):
                        continue
                    break
                if kind in rule.kinds or rule.fits(value):
                    continue
                break
            else:
                return attributes
        except KeyError:  # there is no rule for the key
            pass
        return self._remove(attributes, rules, reason)

    def _remove(self, attributes: Mapping[str, Any], rules: Mapping[str, Rule], reason: str) -> Mapping[str, Any]:
        kept: dict[str, Any] = {}
        unlisted = unfit = 0
        for key, value in attributes.items():
            rule = rules.get(key)
            if rule is None and self._prefixes and key.startswith(self._prefixes) and _is_token(key):
                rule = FREE
            if rule is None:
                unlisted += key not in allowed.REPEATED
            elif rule.fits(value):
                kept[key] = value
            else:
                unfit += 1
        self._count(reason, unlisted)
        self._count("value" if reason == "attribute" else reason, unfit)
        return attributes if len(kept) == len(attributes) else kept

    # --- spans -------------------------------------------------------------------------------------------------------

    def span_name(self, name: str, kind: SpanKind, attributes: Mapping[str, Any], scope: str) -> str:
        """Return the name that a span may have; `attributes` are those that passed, `scope` its instrumentation's name.

        Ours are ``tts.<stage>`` and ``text_to_speech <model>``. A server span's is its method and its own http.route.
        Others must be one word; else the span takes the name of the library that made it.
        """
        if kind is _SERVER:
            safe = _server_span_name(name, attributes)
        elif scope == names.SCOPE:
            if name in self._names:
                return name
            safe = _own_span_name(name)
            if safe == name and len(self._names) < _MAX_CACHED:
                self._names.add(name)
        elif scope == _FASTAPI and name.startswith(_BACKGROUND):  # and its function's name in the code
            safe = name if _is_name(name[len(_BACKGROUND) :]) else _BACKGROUND.rstrip()
        elif name.endswith(_ASGI_PARTS):
            safe = next(part for part in _ASGI_PARTS if name.endswith(part))
        else:
            safe = name if _is_name(name) else self._plain_scope(scope)
        if safe == name:
            return name
        self._count("span_name")
        return safe

    def event(self, name: str, attributes: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Return a span event's name and attributes; of an exception its type and place remain, never its message."""
        if name not in _OWN_EVENTS and not _is_name(name):
            self._count("event")
            name = REDACTED
        return name, self._filter(attributes, self._coded)

    def status_description(self, description: str | None) -> None:
        """Return None: a status description quotes the exception."""
        if description:
            self._count("status")

    def trace_state(self, items: Mapping[str, str]) -> Mapping[str, str]:
        """Return what may leave of a trace state: sampling thresholds. The rest is text that a client sent."""
        sampling = items.get("ot")
        if len(items) == 1 and sampling is not None and _is_sampling(sampling):
            return items
        self._count("tracestate")
        return {"ot": sampling} if sampling is not None and _is_sampling(sampling) else {}

    # --- scope -------------------------------------------------------------------------------------------------------

    def scope(self, name: str, version: str | None, schema: str | None) -> tuple[str, str | None, str | None]:
        """Return an instrumentation scope's name, version and schema URL as they may leave."""
        safe = (self._plain_scope(name), version if _is_version(version or "") else None, self.schema(schema))
        self._count("scope", sum(a != b for a, b in zip(safe, (name, version, schema), strict=True)))
        return safe

    def schema(self, url: str | None) -> str | None:
        """Return a schema URL if it is one of OpenTelemetry's, else an empty one."""
        return url if not url or _is_schema(url) else ""

    @staticmethod
    def _plain_scope(name: str) -> str:
        return name if _is_scope(name) else REDACTED

    # --- logs --------------------------------------------------------------------------------------------------------

    def log(
        self, scope: str, severity: str | None, body: Any, attributes: Mapping[str, Any]
    ) -> tuple[Any, Mapping[str, Any]] | None:
        """Return a log record's body and attributes as they may leave, or None where the whole record may not.

        Our own lines pass when they are made of the fields of names.LOG_FIELDS. An application's line becomes its
        level, logger, file and line; with OTEL_TTS_EXPORT_APP_LOGS=body the formatted text and the exception pass.
        """
        if scope == names.SCOPE and self._is_own_body(body):
            return body, self._filter(attributes, self._coded)
        if self._app_logs == "none":
            self._count("log_record")
            return None
        place = _name_files_only(attributes)
        if self._app_logs == "body":
            return self._free_body(scope, severity, body, place)
        kept = self._filter(place, self._coded)
        if body is None:
            return None, kept
        self._count("log_body")
        return self._place_of(scope, severity, kept), kept

    def severity(self, text: str | None) -> str | None:
        """Return the name of a log level, or None for one that is not a word."""
        return text if text is None or _is_severity(text) else None

    def event_name(self, name: str | None) -> str | None:
        """Return a log record's event name, or None for one that is not a word."""
        return name if name is None or _is_name(name) else None

    def _is_own_body(self, body: Any) -> bool:
        if body is None:
            return True
        if not isinstance(body, str):
            return False
        if _is_line(body) or body == names.MEMORY_EVENT:
            return True
        for voice in tuple(public_voices):  # it grows meanwhile; a preset may be named with spaces or in any alphabet
            if f" voice={voice} " in body + " " and _is_line(body.replace(f" voice={voice}", " voice=v", 1)):
                return True
        return False

    def _free_body(
        self, scope: str, severity: str | None, body: Any, attributes: Mapping[str, Any]
    ) -> tuple[Any, Mapping[str, Any]]:
        texts = ("exception.message", "exception.stacktrace")
        said = {k: str(attributes[k])[:_MAX_STACK] for k in texts if k in attributes}
        rest = {k: v for k, v in attributes.items() if k not in said} if said else attributes
        kept = self._filter(rest, self._coded)
        if isinstance(body, str):
            body = body[:MAX_BODY]
        elif body is not None and not isinstance(body, (bool, int, float)):
            self._count("log_body")
            body = self._place_of(scope, severity, kept)
        return body, {**kept, **said} if said else kept

    def _place_of(self, scope: str, severity: str | None, attributes: Mapping[str, Any]) -> str:
        where = [self.severity(severity) or "", self._plain_scope(scope)]
        file = attributes.get("code.file.path") or attributes.get("code.filepath")
        line = attributes.get("code.line.number") or attributes.get("code.lineno")
        if file:
            where.append(f"{file}:{line}" if line else file)
        return " ".join(filter(None, where))

    # --- metrics -----------------------------------------------------------------------------------------------------

    def metric(
        self, name: str, unit: str | None, description: str | None, scope: str
    ) -> tuple[str, str | None, str | None] | None:
        """Return a metric's name, unit and description as they may leave, or None where its name is no word."""
        key = (name, unit, description, scope)
        if key not in self._metrics:
            if len(self._metrics) >= _MAX_CACHED:
                self._metrics.clear()
            self._metrics[key] = self._decide_metric(*key)
        return self._metrics[key]

    def _decide_metric(
        self, name: str, unit: str | None, description: str | None, scope: str
    ) -> tuple[str, str | None, str | None] | None:
        if not _is_scope(name):
            self._count("metric")
            return None
        known = scope.startswith(_DESCRIBED) and len(description or "") <= MAX_DESCRIPTION
        safe = (name, unit if _is_unit(unit or "") else "", description if known or not description else "")
        self._count("metric", (safe[1] != unit) + (safe[2] != description))
        return safe

    # --- counts ------------------------------------------------------------------------------------------------------

    def drop(self, reason: str, items: int = 1) -> None:
        """Count whole items that are held back."""
        self.dropped[reason] += items

    def note_exemplar(self) -> None:
        """Count an exemplar that lost its attributes."""
        self._count("exemplar")

    def _count(self, reason: str, items: int = 1) -> None:
        if items:
            self.redacted[reason] += items


def let_voice(name: str) -> None:
    """Let a voice's name leave: a preset in an engine's table, or one that the operator listed."""
    if name not in public_voices and len(public_voices) < _MAX_VOICES and FREE.fits(name):
        public_voices.add(name)


def forget_counts() -> None:
    """Start from zero, in a forked child: the parent reports its own."""
    redacted.clear()
    dropped.clear()


def _own_span_name(name: str) -> str:
    if _is_own_stage(name):
        return name
    operation, _, model = name.partition(" ")
    if operation in _NAMED:
        return name if _is_name(model) else operation
    if operation != names.OPERATION:
        return REDACTED
    return name if _is_model(model) else names.OPERATION


def _server_span_name(name: str, attributes: Mapping[str, Any]) -> str:
    if names.RPC_METHOD in attributes:
        known = f"{attributes.get(names.RPC_SERVICE)}/{attributes[names.RPC_METHOD]}"
        return name if name.removeprefix("/") == known else known
    if name == names.SPAN_WYOMING:
        return name
    method, route = name.partition(" ")[0], attributes.get(names.HTTP_ROUTE)
    if method in _METHODS:
        return name if name == f"{method} {route}" else method
    return name if name == route else "HTTP"  # contrib names a websocket's span by its route alone


def _name_files_only(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return log attributes with file names for paths: a path holds user names and deployment secrets."""
    if not allowed.CODE_FILE.intersection(attributes):
        return attributes
    return {
        key: value.rpartition("/")[2] if key in allowed.CODE_FILE and isinstance(value, str) else value
        for key, value in attributes.items()
    }
