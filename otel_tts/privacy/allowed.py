# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The allow-list of the privacy gate: which keys may leave, and what their values must look like.

A key that is not here does not leave. A value of a listed key leaves only if it has the form that the key calls for.
All forms are ASCII and without spaces: a Chinese or Japanese sentence is one run of letters, and a form that lets
such letters pass would let whole sentences pass. Only what the operator sets himself (resource, names in
OTEL_TTS_ALLOW_ATTRIBUTES and OTEL_TTS_VOICES) is free text, short and on one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from otel_tts import names

MAX_TEXT: Final = 256
MAX_ITEMS: Final = 64
_MAX_KNOWN: Final = 4096

_NUMBERS: Final = frozenset({int, float, bool})
_NOTHING: Final[frozenset[type]] = frozenset()


class Rule:
    """What the values of a key may be: numbers, strings of one form, or short sequences of those.

    `known` holds strings that passed before, so that the same engine name is not matched again for every span;
    `remember=False` for keys whose values are all different.
    """

    __slots__ = ("_match", "_remember", "kinds", "known", "many")

    def __init__(
        self,
        pattern: str | None = None,
        *,
        numbers: bool = False,
        many: bool = False,
        remember: bool = True,
        known: set[str] | None = None,
    ) -> None:
        self._match = re.compile(pattern).fullmatch if pattern is not None else None
        self._remember = remember
        self.kinds = _NUMBERS if numbers else _NOTHING
        self.many = many
        self.known: set[str] = set() if known is None else known

    def fits_text(self, value: str) -> bool:
        """Say whether a string may be exported."""
        if self._match is None or self._match(value) is None:
            return False
        if self._remember:
            if len(self.known) >= _MAX_KNOWN:
                self.known.clear()
            self.known.add(value)
        return True

    def fits(self, value: Any) -> bool:
        """Say whether a value of any type may be exported: a string, a number, or a sequence where the key has one."""
        if isinstance(value, str):
            return value in self.known or self.fits_text(value)
        if isinstance(value, (int, float)):
            return bool(self.kinds)
        return self.many and isinstance(value, (tuple, list)) and self._fits_all(cast("Sequence[Any]", value))

    def _fits_all(self, items: Sequence[Any]) -> bool:
        """Say whether a sequence may be exported: short, and of strings or of numbers of one type."""
        kind = type(items[0]) if items else str  # pyright: ignore[reportUnknownVariableType]
        return len(items) <= MAX_ITEMS and all(
            type(item) is kind and isinstance(item, (str, int, float)) and self.fits(item) for item in items
        )


def one_of(*values: str, many: bool = False) -> Rule:
    """Return the rule of a key with a closed list of values."""
    return Rule("|".join(map(re.escape, values)), many=many)


# --- forms -----------------------------------------------------------------------------------------------------------

TOKEN_FORM: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:/+@-]{0,63}"
MODEL_FORM: Final = r"[A-Za-z0-9][A-Za-z0-9_.:/+@-]{0,127}"
NAME_FORM: Final = r"[A-Za-z_][A-Za-z0-9_.:/<>-]{0,63}"
# A dotted class name, with <locals> for classes made in functions.
CLASS_FORM: Final = r"(?=.{1,128}\Z)(?:[A-Za-z_]\w*|<locals>)(?:\.(?:[A-Za-z_]\w*|<locals>))*"
# The template of a route: literal segments and {parameters} or <parameters>; no percent signs, no spaces, ASCII only.
_PARAMETER: Final = (
    r"\{[A-Za-z_]\w{0,63}(?::[a-z]\w{0,31})?\}|<(?:[a-z]\w{0,31}:)?[A-Za-z_]\w{0,63}(?::[a-z]\w{0,31})?>"
)
_SEGMENT: Final = rf"(?:[A-Za-z0-9_.~-]{{0,64}}(?:(?:{_PARAMETER})[A-Za-z0-9_.~-]{{0,64}}){{0,4}})"
ROUTE_FORM: Final = rf"(?a)(?=.{{1,256}}\Z)(?:/{_SEGMENT})+"
# Django's have no leading slash, and may be regular expressions. Without the slash a word that was said has the form of
# a route: it passes only where Django's instrumentation, which takes it from the resolver, has put it on its own span.
_GROUP: Final = r"\(\?P<[A-Za-z_]\w{0,63}>[A-Za-z0-9_.\\\[\]^+*?{},|/-]{1,64}\)"
_PATTERN: Final = rf"\^?(?:[A-Za-z0-9_.~-]{{0,64}}(?:(?:{_PARAMETER}|{_GROUP})[A-Za-z0-9_.~-]{{0,64}}){{0,4}})"
DJANGO_ROUTE_FORM: Final = rf"(?a)(?=.{{1,256}}\Z){_PATTERN}(?:/\??{_PATTERN})*\$?"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY", "_OTHER")

TOKEN: Final = Rule(TOKEN_FORM)
TOKENS: Final = Rule(TOKEN_FORM, many=True)
LABEL: Final = Rule(TOKEN_FORM, numbers=True)
NUMBER: Final = Rule(numbers=True)
NUMBERS: Final = Rule(numbers=True, many=True)
CLASS: Final = Rule(f"(?a:{CLASS_FORM})|[1-5][0-9][0-9]")
MODEL: Final = Rule(MODEL_FORM)
REQUEST_ID: Final = Rule(r"[A-Za-z0-9._:-]{1,128}", remember=False)
VERSION: Final = Rule(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
HOST: Final = Rule(r"[A-Za-z0-9]([A-Za-z0-9.:_-]{0,252}[A-Za-z0-9])?")
# One line of at most 256 characters; neither control characters nor those that turn the direction of writing.
FREE: Final = Rule(
    rf"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]{{0,{MAX_TEXT}}}",
    numbers=True,
    many=True,
    remember=False,
)


# package/module.py:function:line, as `otel_tts.recording.loops.code` makes it.
PLACE_FORM: Final = r"[A-Za-z0-9_.<>/-]{1,60}:[A-Za-z0-9_.<>/-]{1,56}:[0-9]{1,7}"

_ANOMALY: Final = "|".join(names.ANOMALIES)


def _own_rules() -> dict[str, Rule]:
    """Return the rules of the attributes in names.py: by the type that stands there, and by form where one is known."""
    special = {
        names.REQUEST_ID: REQUEST_ID,
        names.REQUEST_OFFERED: REQUEST_ID,
        names.OPERATION_NAME: one_of(names.OPERATION),
        names.OUTPUT_TYPE: one_of("speech"),
        names.MODEL: MODEL,
        names.ENGINE_VERSION: VERSION,
        names.TEXT_LANGUAGE: Rule(r"[A-Za-z]{1,8}([_-][A-Za-z0-9]{1,8}){0,8}"),
        names.VOICE_SOURCE: one_of("default", "preset", "reference", "description"),
        names.OUTCOME: one_of(*names.OUTCOMES),
        names.FINISH_REASON: one_of(*names.FINISH_REASONS),
        # A class, an HTTP status, or in REQ_FAIL the anomalies that made it fail.
        names.ERROR_TYPE: Rule(rf"(?a:{CLASS_FORM})|[1-5][0-9][0-9]|(?:{_ANOMALY})(?:,(?:{_ANOMALY}))*"),
        names.COST_CURRENCY: Rule(r"[A-Z]{3}"),
        names.WAIT_SOURCE: one_of(*names.WAIT_SOURCES),
        names.LOOP_CAUSE: one_of(*names.LOOP_CAUSES),
        names.LOOP_CODE: Rule(PLACE_FORM),
        names.LOOP_COROUTINE: Rule(PLACE_FORM),
        names.AUDIO_ANOMALY: one_of(*names.ANOMALIES, many=True),
        names.TIMING_MODE: one_of("host", "sync", "events"),
        names.MEMORY_ATTRIBUTION: one_of("exclusive", "shared"),
    }
    numbers = dict.fromkeys(("int", "double", "boolean"), NUMBER)
    by_type = {**numbers, "string": TOKEN, "string[]": TOKENS, "double[]": NUMBERS}
    return {a.key: special.get(a.key, by_type[a.type]) for a in names.ATTRIBUTES}


_CALL: Final = Rule(r"[A-Za-z_$][A-Za-z0-9_.$/-]{0,127}")

ATTRIBUTES: Final[Mapping[str, Rule]] = {
    **_own_rules(),
    "exception.type": CLASS,
    "exception.escaped": Rule("True|False|true|false", numbers=True),
    # The web: never url.* but the scheme, no headers, no client addresses. server.address is the Host header, which
    # the client writes; operators who want it list it in OTEL_TTS_ALLOW_ATTRIBUTES.
    names.URL_SCHEME: one_of("http", "https", "ws", "wss"),
    names.HTTP_ROUTE: Rule(ROUTE_FORM),
    names.HTTP_METHOD: one_of(*METHODS),
    names.HTTP_STATUS: NUMBER,
    names.HTTP_VERSION: Rule(r"[0-9]{1,2}(\.[0-9]{1,2})?"),
    "server.port": NUMBER,
    # The series in which the SDK puts what is beyond its limit of label sets.
    "otel.metric.overflow": NUMBER,
    # Databases, calls and queues: what kind, never what was asked.
    "db.system.name": TOKEN,
    "db.operation.name": Rule(r"[A-Za-z][A-Za-z0-9_]{0,31}"),
    "rpc.system.name": TOKEN,
    names.RPC_SERVICE: _CALL,
    names.RPC_METHOD: _CALL,
    "rpc.response.status_code": LABEL,
    "messaging.operation.name": TOKEN,
    # Hardware metrics.
    "hw.type": TOKEN,
    "hw.state": TOKEN,
    "hw.parent": TOKEN,
    "hw.limit_type": TOKEN,
    "hw.sensor_location": TOKEN,
    "hw.driver_version": VERSION,
    "hw.gpu.task": TOKEN,
    "hw.vendor": one_of("NVIDIA", "AMD", "Intel", "Apple"),
    "hw.model": Rule(r"(NVIDIA|Tesla|Quadro|GeForce|AMD|Radeon|Intel|Apple)[A-Za-z0-9 ._()/-]{0,63}"),
    "hw.name": Rule(r"(NVIDIA|Tesla|Quadro|GeForce|AMD|Radeon|Intel|Apple)[A-Za-z0-9 ._()/-]{0,63}"),
}
"""Attributes of spans, span events, links and log records."""

_DJANGO: Final = "opentelemetry.instrumentation.django"
_DJANGO_ROUTE: Final[Mapping[str, Rule]] = {names.HTTP_ROUTE: Rule(DJANGO_ROUTE_FORM)}

ATTRIBUTES_OF_SCOPE: Final[Mapping[str, Mapping[str, Rule]]] = {_DJANGO: _DJANGO_ROUTE}
"""Forms that only the spans of one instrumentation scope may have."""

NOT_LABELS: Final = frozenset({names.REQUEST_ID, names.REQUEST_OFFERED, "server.port"})
"""Listed attributes that are no metric labels: one value per request, or one that the client chooses."""

_SYSTEM: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(
        ("type", "state", "direction", "device", "family", "protocol", "cpu", "generation", "count"), LABEL
    ),
    "cpython.gc.generation": NUMBER,
    "cpu.mode": TOKEN,
    "cpu.logical_number": NUMBER,
}

LABELS_OF_SCOPE: Final[Mapping[str, Mapping[str, Rule]]] = {
    names.SCOPE: {names.REASON: TOKEN},
    "opentelemetry.instrumentation.system_metrics": _SYSTEM,
    _DJANGO: _DJANGO_ROUTE,
    # The SDK's metrics about itself; the address is that of the operator's collector.
    "opentelemetry-sdk": {
        "otel.component.name": TOKEN,
        "otel.component.type": TOKEN,
        "otel.span.parent.origin": TOKEN,
        "otel.span.sampling_result": TOKEN,
        "server.address": HOST,
        "server.port": NUMBER,
    },
}
"""Labels that only the metrics of one instrumentation scope may have; `type` and `state` mean anything elsewhere."""

CODE_FILE: Final = frozenset({"code.file.path", "code.filepath"})

CODE: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(CODE_FILE, Rule(r"[A-Za-z0-9_.<>-]{1,128}")),
    **dict.fromkeys(("code.line.number", "code.lineno"), NUMBER),
    **dict.fromkeys(("code.function.name", "code.function"), Rule(rf"(?a:{CLASS_FORM})|<[a-z]{{1,16}}>")),
}
"""Further attributes of log records and span events: where it happened (of the path only the file's name)."""

REPEATED: Final = frozenset({"otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName"})
"""What the logging instrumentation repeats from the record's own fields: left out, and not counted as a loss."""

_KUBERNETES: Final = (
    "cluster", "namespace", "node", "pod", "container", "deployment", "replicaset", "statefulset", "daemonset", "job",
    "cronjob",
)  # fmt: skip

RESOURCE: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(
        (
            "service.name", "service.namespace", "service.version", "service.instance.id", "service.criticality",
            "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version", "telemetry.auto.version",
            "telemetry.distro.name", "telemetry.distro.version",
            "deployment.environment.name", "host.name", "process.pid",
            "process.runtime.name", "process.runtime.version", "process.runtime.description",
        ),
        FREE,
    ),
    **{f"k8s.{thing}.{what}": FREE for thing in _KUBERNETES for what in ("name", "uid")},
    "k8s.container.restart_count": NUMBER,
}  # fmt: skip
"""Attributes of the resource: set by the operator or found by a detector, before any request came."""

RUNTIME_PREFIX: Final = "tts.runtime."
"""Versions of the dependency layer in the resource: torch, cuda, cudnn, onnxruntime, scipy, ffmpeg, gpu_driver, …"""
