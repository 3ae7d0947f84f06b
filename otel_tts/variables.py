# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's own variables where its SDK raises, or dies at import, instead of ignoring a value it cannot read.

The specification wants a warning, and the default. So before the SDK reads them such values are set aside, and put
back afterwards: os.environ is the user's, and what children inherit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Final

ALL: Final = "traces, metrics, logs"
PACKAGES: Final = {
    "b3": "opentelemetry-propagator-b3",
    "b3multi": "opentelemetry-propagator-b3",
    "jaeger": "opentelemetry-propagator-jaeger",
    "ottrace": "opentelemetry-propagator-ot-trace",
    "xray": "opentelemetry-propagator-aws-xray",
    "prometheus": "opentelemetry-exporter-prometheus",
    "zipkin": "opentelemetry-exporter-zipkin",
    "otlp": "opentelemetry-exporter-otlp",
    "otlp_proto_http": "opentelemetry-exporter-otlp",
    "otlp_proto_grpc": "opentelemetry-exporter-otlp",
    "otel_tts_file": "opentelemetry-exporter-otlp-json-common",
}
"""What to install for a name that is not found, or whose package cannot be imported."""

_QUEUE: Final = 16384  # what otel-tts lends, see distro.defaults
_SAMPLERS: Final = (
    "always_on", "always_off", "traceidratio",
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
)  # fmt: skip

Environ = Mapping[str, str]


@dataclass(frozen=True)
class Rule:
    """A variable of `signal`, what it may hold in words, and the same as a function of the value and all variables."""

    signal: str
    name: str
    allowed: str
    holds: Callable[[str, Environ], bool]


@dataclass(frozen=True)
class Problem:
    """A value that is set aside; `use` is what is used instead (None: the default)."""

    rule: Rule
    value: str
    use: str | None = None

    def __str__(self) -> str:
        instead = f"{self.use} is used" if self.use else "it is left out, and the default used"
        return f"{self.rule.signal}: {self.rule.name}={self.value} is not {self.rule.allowed}; {instead}"


def _whole(low: int, high: float = math.inf) -> Callable[[str, Environ], bool]:
    return lambda value, _: value.lstrip("+-").isdecimal() and low <= int(value) <= high


def _positive(value: str, _: Environ) -> bool:
    try:
        return float(value) > 0
    except ValueError:
        return False


def _one_of(*allowed: str) -> Callable[[str, Environ], bool]:
    return lambda value, _: value.lower() in allowed


def _fits(queue: str) -> Callable[[str, Environ], bool]:
    def holds(value: str, environ: Environ) -> bool:
        size = environ.get(queue, "").strip()
        return _whole(1, int(size) if _whole(1)(size, environ) else _QUEUE)(value, environ)

    return holds


def _sampler(value: str, _: Environ) -> bool:
    return value.lower() in _SAMPLERS or _is_installed("opentelemetry_traces_sampler", value)


def _ratio(value: str, environ: Environ) -> bool:
    if not environ.get("OTEL_TRACES_SAMPLER", "").strip().lower().endswith("traceidratio"):
        return True  # another sampler's own
    try:
        return 0 <= float(value) <= 1
    except ValueError:
        return False


def _rules() -> Iterator[Rule]:
    count = "a whole number that is not negative"
    for signal, kinds in (("traces", ("SPAN", "EVENT", "LINK", "SPAN_EVENT", "SPAN_LINK")), ("logs", ("LOGRECORD",))):
        for kind in kinds:
            for limit in ("ATTRIBUTE_COUNT", "ATTRIBUTE_VALUE_LENGTH", "COUNT"):
                yield Rule(signal, f"OTEL_{kind}_{limit}_LIMIT", count, _whole(0))
    for limit in ("COUNT", "VALUE_LENGTH"):
        yield Rule("traces, logs", f"OTEL_ATTRIBUTE_{limit}_LIMIT", count, _whole(0))
    for signal, prefix in (("traces", "OTEL_BSP"), ("logs", "OTEL_BLRP")):
        queue = f"{prefix}_MAX_QUEUE_SIZE"
        yield Rule(signal, queue, "a whole number from 1", _whole(1))
        batch = f"a whole number from 1 to {queue}"
        yield Rule(signal, f"{prefix}_MAX_EXPORT_BATCH_SIZE", batch, _fits(queue))
        for name in ("SCHEDULE_DELAY", "EXPORT_TIMEOUT"):
            yield Rule(signal, f"{prefix}_{name}", "a number of milliseconds from 1", _whole(1))
    for name in ("INTERVAL", "TIMEOUT"):
        yield Rule("metrics", f"OTEL_METRIC_EXPORT_{name}", "a number of milliseconds above 0", _positive)
    filters = ("always_on", "always_off", "trace_based")
    yield Rule("metrics", "OTEL_METRICS_EXEMPLAR_FILTER", f"one of {', '.join(filters)}", _one_of(*filters))
    yield Rule("metrics", "OTEL_EXPORTER_PROMETHEUS_PORT", "a port, 1 to 65535", _whole(0, 65535))
    samplers = f"one of {', '.join(_SAMPLERS)}, nor the name of one that is installed"
    yield Rule("traces", "OTEL_TRACES_SAMPLER", samplers, _sampler)
    yield Rule("traces", "OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1", _ratio)
    for signal in (ALL, "traces", "metrics", "logs"):
        prefix = "OTEL_EXPORTER_OTLP_" + (f"{signal.upper()}_" if signal != ALL else "")
        protocols = ("grpc", "http/protobuf")
        yield Rule(signal, f"{prefix}PROTOCOL", f"one of {', '.join(protocols)}", _one_of(*protocols))
        yield Rule(signal, f"{prefix}COMPRESSION", "one of none, gzip, deflate", _one_of("gzip", "deflate"))
        yield Rule(signal, f"{prefix}TIMEOUT", "a number of seconds above 0", _positive)


RULES: Final = tuple(_rules())
_PROPAGATORS: Final = "OTEL_PROPAGATORS"
_DETECTORS: Final = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"


def problems(environ: Environ) -> list[Problem]:
    """Return every value that OpenTelemetry's SDK could not read."""
    found = [
        Problem(rule, value)
        for rule in RULES
        if (value := environ.get(rule.name, "").strip())
        and not rule.holds(value, environ)
        and not _is_none(rule, value)
    ]
    return found + missing_propagators(environ) + _missing_detectors(environ)


@contextmanager
def set_aside(environ: MutableMapping[str, str]) -> Generator[list[Problem]]:
    """Keep from the SDK what it could not read, and yield it; in the end all of it is back."""
    found = problems(environ)
    changes = {rule.name: None for rule in RULES if _says_nothing(rule, environ)}
    changes |= {problem.rule.name: problem.use for problem in found}
    kept = {name: environ[name] for name in changes}
    for name, value in changes.items():
        if value is None:
            del environ[name]
        else:
            environ[name] = value
    try:
        yield found
    finally:
        environ.update(kept)


def _says_nothing(rule: Rule, environ: Environ) -> bool:
    """Whether the value means the same as none, in a spelling that the SDK cannot read. For a limit, empty says so."""
    value = environ.get(rule.name)
    return value is not None and ((not value.strip() and not rule.name.endswith("LIMIT")) or _is_none(rule, value))


def _is_none(rule: Rule, value: str) -> bool:
    return rule.name.endswith("COMPRESSION") and value.strip().lower() == "none"


def missing_propagators(environ: Environ) -> list[Problem]:
    """Return a problem where one is not installed: it would cost all, and every program that imports OpenTelemetry."""
    return _missing(environ, _PROPAGATORS, "opentelemetry_propagator", "none")


def _missing_detectors(environ: Environ) -> list[Problem]:
    """Return a problem where one is not installed: the SDK prints a stack trace of its own each time it looks."""
    return _missing(environ, _DETECTORS, "opentelemetry_resource_detector", "otel", also="*")


def _missing(environ: Environ, variable: str, group: str, none: str, also: str = "") -> list[Problem]:
    """Return a problem where a name in `variable` is not installed; `none` and `also` need not be.

    Where no name is left `none` is used.
    """
    value = environ.get(variable, "").strip()
    names = [name.strip() for name in value.split(",") if name.strip()]
    missing = [n for n in names if n.lower() not in (none, also) and not _is_installed(group, n)]
    if not missing:
        return []
    installed = ",".join(name for name in names if name not in missing) or none
    return [Problem(Rule(ALL, variable, f"installed ({', '.join(map(advice, missing))})", _never), value, installed)]


def _never(value: str, environ: Environ) -> bool:
    return False


def advice(name: str) -> str:
    """Say what to do about a component that is not installed."""
    from otel_tts.commands import pip

    package = PACKAGES.get(name.lower())
    return f"{name}: {pip()} install {package}" if package else f"{name}: no package brings it, is it spelled right?"


def _is_installed(group: str, name: str) -> bool:
    from opentelemetry.util._importlib_metadata import entry_points  # pyright: ignore[reportUnknownVariableType]

    return bool(entry_points(group=group, name=name))


def _is_in_the_way(environ: Environ) -> bool:
    return any(_says_nothing(rule, environ) for rule in RULES) or bool(problems(environ))


# The SDK reads limits and detectors while it is imported, and OpenTelemetry's API the propagators: this comes before.
if _is_in_the_way(os.environ):
    with set_aside(os.environ):
        import_module("opentelemetry.propagate")
        import_module("opentelemetry.sdk.trace")
        import_module("opentelemetry.sdk._logs")
